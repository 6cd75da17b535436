"""What queries of truth buy: surrogate, funnel and main job against their controls, and proxies that are optimised."""
