"""Reports: what a run folder shows a person (summary.md, plots) and a program (results.json, table.csv)."""
