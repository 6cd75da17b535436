"""What was published of each proxy's agreement with two benchmarks, and what differs from how it is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PUBLISHED", "RESULTS", "SOURCES", "Claim"]

#: where committed results go
RESULTS = Path(__file__).parent / "results"

#: short name -> the work that a figure is from
SOURCES = {
    "SK23": "Serianni & Kalita, ACL 2023: the columns released with the paper, their tau with the table's truth",
    "LPZ": "LPZero, Findings of EMNLP 2024 (arXiv 2410.04808), comparison on FlexiBERT",
    "NSC": "NSC, 2026 (arXiv 2609.23087), comparison on FlexiBERT with the hidden sizes that were trained",
    "ZLM": "ZeroLM, 2025 (arXiv 2503.18646), abstract",
    "SWAP": "SWAP for language models, 2026 (arXiv 2605.07378), abstract",
    "WPCA": "W-PCA, ICLR 2025 (arXiv 2504.15983), table 1",
}


@dataclass(frozen=True)
class Claim:
    """A published figure.

    Attributes:
        source: key of ``SOURCES``.
        tau, rho: Kendall and Spearman, higher for a better truth; None where only the other was published.
    """

    source: str
    tau: float | None = None
    rho: float | None = None


#: what all figures of FlexiBERT before NSC share
_COLLAPSED = "published with hidden size 256 for all; ours on the models that were trained"
_CELLS = "published over 8,794 trainings at the paper's sizes; ours over unique cells, with a probe of 64 units"
_LOSS = "published with a loss or ones, ours with a random direction at the output"

#: table -> label of a proxy -> what was published, and what differs
PUBLISHED: dict[str, dict[str, tuple[tuple[Claim, ...], str]]] = {
    "flexibert": {
        "parameters": ((Claim("SK23", 0.454, 0.652), Claim("NSC", 0.485)), _COLLAPSED),
        "flops": ((Claim("NSC", 0.552),), "published without embeddings and under the stated operations"),
        "zerolm": ((Claim("ZLM", 0.53, 0.76), Claim("NSC", 0.527)), f"{_COLLAPSED}; alpha needs no labels here"),
        "nsc": ((Claim("NSC", 0.695, 0.884),), "published over the authors' lists of matrices (ops=published)"),
        "nsc_product": ((Claim("NSC", None, 0.917),), "over the authors' lists of matrices, from their ablation"),
        "w_pca": ((Claim("WPCA", 0.526, 0.698), Claim("NSC", 0.635)), _COLLAPSED),
        "snip": ((Claim("LPZ", 0.119, 0.173), Claim("NSC", 0.289)), f"{_COLLAPSED}; {_LOSS}"),
        "grad_norm": ((Claim("LPZ", 0.133, 0.197), Claim("NSC", 0.171)), f"{_COLLAPSED}; {_LOSS}"),
        "grasp": ((Claim("LPZ", 0.122, 0.179),), f"{_COLLAPSED}; {_LOSS}"),
        "fisher": ((Claim("LPZ", 0.139, 0.209),), f"{_COLLAPSED}; {_LOSS}"),
        "synflow": ((Claim("LPZ", 0.322, 0.471),), f"{_COLLAPSED}; published on the input as it is"),
        "log_synflow": ((Claim("LPZ", 0.334, 0.491),), f"{_COLLAPSED}; published on the input as it is"),
        "lpzero": ((Claim("LPZ", 0.51, 0.75),), f"{_COLLAPSED}; published proxy fitted to labels of this table"),
        "swap": ((Claim("SWAP", None, 0.71),), "the published sizes and reading are not told"),
        "head_confidence": (
            (Claim("SK23", 0.478, 0.716), Claim("LPZ", 0.306, 0.364)),
            "published: outputs of Linears, summed; ours: attention probabilities, their mean",
        ),
        "softmax_confidence": ((Claim("SK23", 0.216, 0.326),), "published: maximum over heads; ours: over keys"),
        "head_importance": (
            (Claim("SK23", 0.164, 0.250), Claim("LPZ", 0.050, 0.171)),
            "published from gradients that are rounding noise",
        ),
        "synaptic_diversity": (
            (Claim("SK23", 0.156, 0.241), Claim("LPZ", 0.021, 0.175)),
            "published from gradients that are rounding noise, summed; ours: their mean",
        ),
        "synaptic_saliency": (
            (Claim("SK23", 0.188, 0.281), Claim("LPZ", 0.157, 0.266)),
            "published from gradients that are rounding noise, summed; ours: their mean",
        ),
        "activation_distance": (
            (Claim("SK23", 0.222, 0.331), Claim("LPZ", 0.081, 0.123)),
            "published: tokens of one example, summed over leaked hooks; ours: ln det over examples, mean",
        ),
        "jacobian_cosine": (
            (Claim("SK23", 0.003, 0.006), Claim("LPZ", 0.116, 0.149)),
            "published from gradients of the position table that are rounding noise",
        ),
        "jacobian_covariance": (
            (Claim("SK23", -0.042, -0.067),),
            "published from gradients of the position table that are rounding noise",
        ),
    },
    "nas_bench_nlp": {
        "hidden_covariance": (
            (Claim("SK23", 0.3715, 0.5244),),
            _CELLS,
        ),
        "activation_distance": ((Claim("SK23", 0.2230, 0.3380),), _CELLS),
        "synaptic_saliency": ((Claim("SK23", -0.1224, -0.1831),), _CELLS),
        "hidden_synaptic_saliency": ((Claim("SK23", -0.2679, -0.3934),), _CELLS),
        "jacobian_covariance": ((Claim("SK23", 0.0027, 0.0046),), f"the published column holds no Jacobian; {_CELLS}"),
        "jacobian_cosine": ((Claim("SK23", 0.2641, 0.3981),), _CELLS),
        "noised_jacobian_covariance": (
            (Claim("SK23", -0.2590, -0.3956),),
            f"large noise; the published column has the opposite sign; {_CELLS}",
        ),
        "noised_jacobian_cosine": ((Claim("SK23", -0.2725, -0.4104),), f"large noise; {_CELLS}"),
        "parameters": ((Claim("SK23", 0.0006, 0.0007),), _CELLS),
    },
}
