"""The configurations: one file for each choice."""
