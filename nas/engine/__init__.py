"""The engine: trials and results, scoring, the journal, the loop of a search."""
