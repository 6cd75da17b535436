"""Hydra configuration groups of the `zeronas` commands."""
