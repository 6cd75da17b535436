"""Zero-cost proxies: pure functions of what a probe saw of an untrained architecture."""

from __future__ import annotations

from proxies import (  # noqa: F401 (each registers its proxies)
    activation,
    aggregation,
    attention,
    az_nas,
    bert,
    capacity,
    columns,
    control,
    covariance,
    expression,
    fitness_bert,
    fitness_rnn,
    jacobian,
    lpzero,
    meco,
    naswot,
    pruning,
    saliency,
    sizes,
    states,
    swap,
    synflow,
    tangent,
    w_pca,
    zico,
)
from proxies.base import PROXIES, Needs, Proxy, ProxyFailure, Record, Score
from proxies.making import get, listed, options_of, spaces_of

__all__ = ["PROXIES", "Needs", "Proxy", "ProxyFailure", "Record", "Score", "get", "listed", "options_of", "spaces_of"]
