"""Settings of the proxy."""
