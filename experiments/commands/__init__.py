"""The commands: one thin app each."""
