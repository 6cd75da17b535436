"""The published search systems, compared on the same pools with the same scores and truths."""
