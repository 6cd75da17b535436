"""Settings of the space."""
