"""The metrics of the paper, as labels of runs -> registered proxies with their options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["PEERS_PUBLISHED", "Claim", "Proxies", "bert_metrics", "peers", "rnn_metrics"]

Proxies = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """What the authors of a metric say of its agreement with FlexiBERT's truth."""

    title: str
    said: str


#: label of ``peers`` -> its authors' tau / rho, as their papers print them
PEERS_PUBLISHED = {
    "zerolm_auto": Claim("ZeroLM (label-free alpha)", ".53 / .76"),
    "zerolm_alpha_0.7": Claim("ZeroLM (alpha .7)", ".53 / .76"),
    "nsc_published": Claim("NSC (its authors' lists)", ".695 / .884"),
    "swap": Claim("SWAP (64 x 16)", "rho .71"),
}


def rnn_metrics(variant: str) -> Proxies:
    """Returns the RNN metrics of the paper's table in one variant."""
    chosen: Proxies = {
        f"hidden_covariance_{layer}": {"name": "hidden_covariance", "layer": layer, "variant": variant}
        for layer in (1, 2, 3)
    }
    for name in (
        "activation_distance",
        "synaptic_saliency",
        "hidden_synaptic_saliency",
        "jacobian_covariance",
        "jacobian_cosine",
    ):
        chosen[name] = {"name": name, "variant": variant}
    for noise in ("large", "more"):
        for kind in ("covariance", "cosine"):
            label = f"{noise}_noised_jacobian_{kind}"
            chosen[label] = {"name": f"noised_jacobian_{kind}", "noise": noise, "variant": variant}
    return chosen


def bert_metrics(variant: str) -> Proxies:
    """Returns the BERT metrics of the paper's table in one variant, normalised and not."""
    chosen: Proxies = {}
    for name in (
        "synaptic_diversity",
        "synaptic_saliency",
        "activation_distance",
        "head_importance",
        "head_confidence",
        "softmax_confidence",
    ):
        for normalised in (False, True):
            label = name + ("_normalised" if normalised else "")
            chosen[label] = {"name": name, "variant": variant, "normalised": normalised}
    for name in ("jacobian_covariance", "jacobian_cosine"):
        chosen[name] = {"name": name, "variant": variant}
    return chosen


def peers() -> Proxies:
    """Returns the peers' metrics that apply to BERT configurations."""
    return {
        "zerolm_alpha_0.7": {"name": "zerolm", "alpha": 0.7},
        "zerolm_auto": {"name": "zerolm", "alpha": "auto"},
        "zerolm_auto_per_head": {"name": "zerolm", "alpha": "auto", "per_head": True},
        "nsc_published": {"name": "nsc", "ops": "published"},
        "nsc_real": {"name": "nsc", "ops": "real"},
        "swap": {"name": "swap"},
        "swap_regularised": {"name": "swap", "regularised": True},
    }
