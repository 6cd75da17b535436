"""The terms of the page, each explained in a sentence for a reader who knows the field but not this project."""

from __future__ import annotations

__all__ = ["WORDS"]

WORDS = {
    "architecture": "One member of the search space: an RNN cell, a BERT configuration, or a row of a table.",
    "key": "The name of an architecture. Equal computation graphs have equal keys.",
    "proxy": "A score of the untrained network, higher is better. It is cheap, and right only on average.",
    "fitness": "The proxy that the search maximises.",
    "truth": "The result of training the architecture, as recorded in the benchmark's table.",
    "truth query": "One request for the truth of an architecture. It costs one training, or a share of one.",
    "regret": "How much worse than the best architecture of the table, in the unit of the truth. 0 is best.",
    "rank": "1 is the best architecture of the table.",
    "percentile": "The share of the table's architectures that are worse, in percent.",
    "Kendall tau": "Agreement of two orders, agreeing minus disagreeing pairs: 1 the same order, 0 none.",
    "Spearman rho": "The correlation of two lists of ranks: 1 the same order, 0 none.",
    "95% interval": "What other samples of architectures, or other trainings, would plausibly give in its place.",
    "noise of one training": "Standard deviation of the truth between trainings that differ in their seed alone.",
    "standard error": "The standard deviation of the mean over seeds.",
    "top-10% recall": "The share of the truly best tenth that is in the proxy's best tenth, too. Chance gives 0.1.",
    "ties broken": "Tau with tied scores ordered at random. Tau itself flatters coarse scores.",
    "like size": "Tau among pairs that differ by at most 10% in parameters.",
    "given size": "Tau with the influence of parameters and FLOPs taken out.",
    "over-optimisation": "Selecting harder by a proxy selects more of its errors, until the choice gets worse.",
    "best n": "The number of candidates beyond which the pick of the proxy is expected to get worse.",
    "random search": "The best by truth of as many random architectures, as an exact expectation.",
    "failure": "An architecture that got no score or no truth. It is counted and never returned.",
}
