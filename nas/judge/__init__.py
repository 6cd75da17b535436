"""Judgement: how good a ranking or a search is, and how noisy the truth itself is."""

from nas.judge.statistics import (
    Agreement,
    agreement,
    best_so_far,
    bootstrap,
    kendall,
    mean_and_error,
    percentile_interval,
    random_regret,
    ranked_regret,
    recall_at_top,
    spearman,
    tie_broken,
    tied_last,
)

__all__ = [
    "Agreement",
    "agreement",
    "best_so_far",
    "bootstrap",
    "kendall",
    "mean_and_error",
    "percentile_interval",
    "random_regret",
    "ranked_regret",
    "recall_at_top",
    "spearman",
    "tie_broken",
    "tied_last",
]
