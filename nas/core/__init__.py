"""The ground floor: what everything stands on, and what knows nothing of spaces, proxies or searches."""
