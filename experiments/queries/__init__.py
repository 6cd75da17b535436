"""What a query budget buys: surrogate, funnel and main job against their controls, and proxies under optimisation."""
