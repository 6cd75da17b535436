"""Settings of the searcher."""
