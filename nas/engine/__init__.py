"""The engine: what is asked and told, scoring, the journal, the loop."""
