"""The command line, the reproductions of published claims, and the making of the shipped tables."""
