"""The commands: one thin app each, and the configurations of reproduced claims."""
