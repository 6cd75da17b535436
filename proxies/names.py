"""The paper's own names of its metrics, and those of its released tables, for "did you mean"."""

from __future__ import annotations

__all__ = ["PAPER_NAMES", "proxy_of"]

#: name in lower case with underscores -> name of the proxy
PAPER_NAMES: dict[str, str] = {
    "attention_confidence": "head_confidence",
    "attention_head_confidence": "head_confidence",
    "attention_head_importance": "head_importance",
    "attention_importance": "head_importance",
    "attention_softmax_confidence": "softmax_confidence",
    "head_softmax_confidence": "softmax_confidence",
    "softmax_head_confidence": "softmax_confidence",
    "jacobian_score": "jacobian_covariance",
    "jacobian_score_normalized": "jacobian_cosine",
    "jacobian_score_cosine": "jacobian_cosine",
    "jacob_cov": "jacobian_covariance",
    "jacobian_covariance_score": "jacobian_covariance",
    "number_of_parameters": "parameters",
    "num_parameters": "parameters",
    "params": "parameters",
    "nwot": "naswot",
    "relu_distance": "activation_distance",
    "hamming_distance": "activation_distance",
    "synaptic_flow": "synflow",
    "logsynflow": "log_synflow",
    "log_synaptic_flow": "log_synflow",
    "connection_sensitivity": "snip",
    "gradient_norm": "grad_norm",
    "gradnorm": "grad_norm",
    "gradient_signal_preservation": "grasp",
    "fisher_potential": "fisher",
    "ntk": "ntk_condition",
    "ntk_cond": "ntk_condition",
    "te_nas": "ntk_condition",
    "nasi": "ntk_trace",
    "hnas": "ntk_trace",
    "tf_tas_diversity": "synaptic_diversity",
    "dss_saliency": "synaptic_saliency",
    "dss_diversity": "synaptic_diversity",
    "layer_1_hidden_covariance": "hidden_covariance",
    "layer_2_hidden_covariance": "hidden_covariance",
    "layer_3_hidden_covariance": "hidden_covariance",
    "hidden_covariance_score": "hidden_covariance",
    "wpca": "w_pca",
    "meco_opt": "meco",
    "aznas": "az_nas",
    "lp_zero": "lpzero",
    "zero_lm": "zerolm",
    "neural_spectral_capacity": "nsc",
    "swap_score": "swap",
    "swap_nas": "swap",
    "sample_wise_activation_patterns": "swap",
}


def proxy_of(name: str) -> str | None:
    """Returns the proxy that a paper's name means ("Attention Confidence Normalized"), or None where there is none."""
    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    if plain in PAPER_NAMES:
        return PAPER_NAMES[plain]
    for ending in ("_normalized", "_normalised", "_metric"):
        if plain.endswith(ending):
            plain = plain.removesuffix(ending)
    return PAPER_NAMES.get(plain, plain if plain in PAPER_NAMES.values() else None)
