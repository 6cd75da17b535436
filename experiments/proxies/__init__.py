"""How well proxies rank, what their published figures are, and which of them hold when a search optimises them."""
