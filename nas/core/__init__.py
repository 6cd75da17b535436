"""The lowest layer: used by every other package, and independent of spaces, proxies and searches."""
