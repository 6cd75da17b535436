"""W-PCA: how many principal components the feed-forward blocks of an untrained encoder use.

Source: Wang, "W-PCA Based Gradient-Free Proxy for Efficient Search of Lightweight Language Models" (ICLR 2025, arXiv
2504.15983); the authors' released code (github.com/ra225/W-PCA) and the re-run released with NSC (Zhu et al. 2026,
arXiv 2609.23087) were read.
"""

from __future__ import annotations

from nas.core.options import OpenShare, validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.jacobian import require_finite_states
from proxies.principal import variance_shares
from proxies.sizes import counted

__all__ = ["WPCA"]

#: what rounding may take from a sum of shares that is one
_ROUNDING = 1e-12


@PROXIES.register("w_pca")
class WPCA(Proxy):
    """Parameters times S, the sum over layers of the principal components that hold eta of the variance.

    The features of a layer are H = X W1 + b1, the output of the first Linear of its feed-forward block before the
    activation function, of all tokens of the batch together, centred. PCA_l is the least k whose first k components
    hold at least eta of the variance (in the released code more than eta). It is at most the hidden size, which H's
    rank cannot exceed, and at most the number of tokens less one, so the probe should have more tokens than that.
    Parameters are those of the full-size model with its embeddings, as in both codes that were read. In a
    feed-forward block of several hidden layers only the first counts, as in the re-run.

    The authors' FlexiBERT code is not public. Their table has tau .526 and rho .698 for W-PCA and .466 and .677 for
    S, on the encoders of hidden size 256 that are the ``scored`` reading here; the re-run .635 and .522 with and
    without the hidden sizes.

    Args:
        eta: share of the variance.
        weighted: multiply by the parameters; else S itself, the authors' "PCA".

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "w_pca"
    title = "W-PCA"
    source = "Wang 2025"
    needs = frozenset({"forward", "feed_forward"})
    layers = 1

    @validated
    def __init__(self, eta: OpenShare = 0.99, weighted: bool = True) -> None:
        self.eta, self.weighted = eta, weighted

    def __call__(self, record: Record) -> float:
        """Returns parameters times S, or S.

        Raises:
            ProxyFailure: there is no feed-forward block, or the features of one are constant or not finite.
        """
        require_finite_states(record)
        first: dict[int, int] = {}
        for tap in record.taps:
            if tap.name == "pre_activation" and tap.layer not in first:
                shares = variance_shares(tap.value.flatten(0, 1))  # (B, T, F) -> (B*T, F)
                first[tap.layer] = int((shares.cumsum(0) < self.eta - _ROUNDING).sum()) + 1
        if not first:
            raise ProxyFailure("the network has no feed-forward block")
        components = sum(first.values())
        return float(components * counted(record, "parameters")) if self.weighted else float(components)
