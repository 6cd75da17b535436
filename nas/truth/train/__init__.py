"""Training: any cell as a word-level language model, any BERT configuration as a masked one, under a named protocol.

Importing this package is cheap: torch is imported where it is first needed.
"""
