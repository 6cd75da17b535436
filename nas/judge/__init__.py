"""Judgement: how close a ranking or a search came, and how far the truth itself can be trusted."""

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
