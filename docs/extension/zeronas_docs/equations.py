"""What each proxy computes by default, as an equation; the docstrings tell of the variants and of the released code."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EQUATIONS", "Equation"]


@dataclass(frozen=True)
class Equation:
    """An equation.

    Attributes:
        tex: in LaTeX; "" where words say it all.
        where: what its symbols mean, in reStructuredText.
        space: the space that it is for, "" for all that have no other.
    """

    tex: str
    where: str
    space: str = ""


_CORRELATION = r"S = -\sum_{i} \left[ \ln(\lambda_i + k) + \frac{1}{\lambda_i + k} \right]"

#: name of a proxy -> its equations
EQUATIONS: dict[str, tuple[Equation, ...]] = {
    "hidden_covariance": (
        Equation(
            _CORRELATION,
            "where :math:`\\lambda_i` are the eigenvalues of the correlation matrix of the units of one layer, whose "
            "observations are the states of all examples at all steps, and :math:`k = 10^{-5}`",
        ),
    ),
    "jacobian_covariance": (
        Equation(
            _CORRELATION,
            "where :math:`\\lambda_i` are the eigenvalues of the correlation matrix of the examples' rows of the "
            "Jacobian :math:`J = \\partial L / \\partial e`, and :math:`k = 10^{-5}`",
        ),
    ),
    "jacobian_cosine": (
        Equation(
            r"c = 1 - \frac{1}{B (B - 1)} \sum_{i \neq j} \left| \cos(J_i, J_j) \right|^{1/20}",
            "where :math:`J_i` is what example :math:`i` of :math:`B` contributes to :math:`\\partial L / \\partial e`",
        ),
    ),
    "noised_jacobian_covariance": (
        Equation(
            r"1 - \left| S - S_a \right|",
            "where :math:`S` is the Jacobian covariance at the embedding output :math:`e`, and :math:`S_a` that at "
            ":math:`e + a \\delta \\varepsilon` with :math:`a = 10`, :math:`\\delta` the standard deviation over the "
            "batch and :math:`\\varepsilon` standard normal",
        ),
    ),
    "noised_jacobian_cosine": (
        Equation(
            r"1 - \left| c - c_a \right|",
            "where :math:`c` is the Jacobian cosine at the embedding output :math:`e`, and :math:`c_a` that at "
            ":math:`e + a \\delta \\varepsilon` with :math:`a = 10`, as for the noised Jacobian covariance",
        ),
    ),
    "activation_distance": (
        Equation(
            r"\frac{1}{B} \sum_{n=1}^{B} \ln(\lambda_n + k)",
            "where :math:`\\lambda_n` are the eigenvalues of the matrix of the shares of bits on which the activation "
            "codes of two examples agree, and :math:`k = 10^{-5}`",
        ),
        Equation(
            r"\frac{1}{M} \sum_{m=1}^{M} \ln \det \frac{K_m}{b_m}",
            "where :math:`K_m` counts the bits on which the codes of two examples agree in the :math:`m`-th of "
            ":math:`M` feed-forward activations, out of :math:`b_m`",
            "bert",
        ),
    ),
    "rank_aggregation": (
        Equation(
            r"\sum_m \ln \min(u_m, 0.99)",
            "where :math:`u_m` is the place of the architecture among a fixed sample of the space by the "
            ":math:`m`-th member, as a share",
        ),
    ),
    "synaptic_diversity": (
        Equation(
            r"\frac{1}{M} \sum_{m=1}^{M} \left\| \frac{\partial L}{\partial W_m} \right\|_* \left\| W_m \right\|_*",
            "where :math:`W_m` are the Linears of the operations, and :math:`\\| \\cdot \\|_*` is the nuclear norm",
        ),
    ),
    "head_importance": (
        Equation(
            r"\frac{1}{\ell B n} \sum_{l, b, h} \left\| A_{lbh} \odot \frac{\partial L}{\partial A_{lbh}} \right\|_2",
            "where :math:`A_{lbh}` is the output (tokens by channels) of head :math:`h` of :math:`n` in layer "
            ":math:`l` of :math:`\\ell` for example :math:`b` of :math:`B`",
        ),
    ),
    "head_confidence": (
        Equation(
            r"\frac{1}{\ell B n T} \sum_{l, b, h, t} \max_s P_{lbhts}",
            "where :math:`P_{lbhts}` is the probability that head :math:`h` gives to key :math:`s` at query :math:`t`",
        ),
    ),
    "softmax_confidence": (
        Equation(
            r"\frac{1}{M} \sum_{m=1}^{M} C_m \, \overline{\max_c P_{mc}}",
            "where :math:`P_{mc}` are the probabilities of the :math:`m`-th softmax over its :math:`C_m` choices, and "
            "the bar is the mean over all of its distributions, so that a uniform one gives 1",
        ),
    ),
    "parameters": (Equation("", "the number of trainable scalars of the full-size model"),),
    "flops": (Equation("", "two for each multiply-add of one token's forward pass through the full-size model"),),
    "depth": (Equation("", "the length of the longest path of operations"),),
    "width": (Equation("", "for cells the most nodes at the same depth, for BERT the widest vector"),),
    "az_nas": (
        Equation(
            r"\sum_v \ln u_v",
            "over expressivity, progressivity, trainability and complexity, each as the place :math:`u_v` in a fixed "
            "sample of the space; with :math:`p_{li}` the shares of the principal components of block :math:`l` in "
            "its variance, expressivity is :math:`-\\sum_{l,i} p_{li} \\ln(p_{li} + 10^{-8})`",
        ),
    ),
    "zerolm": (
        Equation(
            r"\frac{A - \mu_A}{\sigma_A} + \frac{F - \mu_F}{\sigma_F}, \quad "
            r"A, F = \sum_{W} \frac{\mathrm{E} \left\| W \right\|_F^2}{\min(m_W, n_W)}",
            "over the Linears of the operations (:math:`A`) and of the feed-forward blocks (:math:`F`), standardised "
            "over a fixed sample of the space",
        ),
    ),
    "nsc": (
        Equation(
            r"\sum_W \mathrm{E} \ln \det \left( I + W^{\top} W \right)",
            "over all Linears, in the closed form of Marchenko and Pastur",
        ),
    ),
    "synaptic_saliency": (
        Equation(
            r"\sum_W \sum_{i,j} \left| W_{ij} \frac{\partial L}{\partial W_{ij}} \right|",
            "over the weights of all inputs of all linear nodes",
        ),
        Equation(
            r"\frac{1}{M} \sum_{m=1}^{M} \sum_{i,j} \left| W_{mij} \frac{\partial L}{\partial W_{mij}} \right|",
            "over the :math:`M` Linears of the feed-forward blocks",
            "bert",
        ),
    ),
    "column": (Equation("", "what the table holds in the column, its sign turned where lower is better"),),
    "columns": (Equation("", "what the table holds in each of its columns of scores, a proxy for each"),),
    "random": (Equation("", "a uniform number in [0, 1) that depends on the seed and on the key alone"),),
    "expression": (Equation("", "the formula that it is given, by default ``sum(logdet(hidden))``"),),
    "zeronas": (
        Equation(
            r"\ln u_c + \ln \left( 1 - \frac{|u_r - t|}{\max(t, 1 - t)} \right) + \ln s",
            "where :math:`u_c` and :math:`u_r` are the places of hidden covariance and of the response to one input "
            "in a fixed sample of the space, :math:`t` is the target of the response, and :math:`s` is the stability, "
            "which is 1 under ``training=long``",
            "rnn",
        ),
        Equation(
            r"\frac{c - \mu_c}{\sigma_c} + \frac{g - \mu_g}{\sigma_g}, \quad c = \ln A + \ln F, \quad "
            r"g = \frac{1}{\ell} \sum_{l=1}^{\ell} \ln \frac{T}{s_l}",
            "where :math:`A` and :math:`F` are capacities as in ZeroLM, heads taken one by one and the last "
            "feed-forward block left out, and :math:`s_l` is the number of tokens that layer :math:`l` mixes",
            "bert",
        ),
    ),
    "lpzero": (
        Equation(
            r"\frac{1}{\ell} \sum_{l=1}^{\ell} \overline{Q_l^2}",
            "where :math:`Q_l` are the outputs of the query (or what stands for it) of layer :math:`l`; the published "
            "second term is 0 for every architecture",
        ),
    ),
    "meco": (
        Equation(
            r"\sum_l \frac{C_l}{8} \, \overline{\lambda_{\min}(R_l)}",
            "where :math:`R_l` is the correlation matrix of 8 channels of block :math:`l` of :math:`C_l`, and the bar "
            "is the mean over draws of the channels",
        ),
    ),
    "naswot": (
        Equation(
            r"\ln \det K",
            "where :math:`K_{ij}` is the number of bits on which the activation codes of examples :math:`i` and "
            ":math:`j` agree",
        ),
    ),
    "snip": (
        Equation(r"\sum_{\theta} \left| \theta \frac{\partial L}{\partial \theta} \right|", "over all layer weights"),
    ),
    "grad_norm": (
        Equation(r"\sum_W \left\| \frac{\partial L}{\partial W} \right\|_2", "over all weight matrices of the layers"),
    ),
    "grasp": (
        Equation(
            r"-\theta^{\top} H \frac{\partial L}{\partial \theta}",
            "where :math:`H` is the Hessian of :math:`L` in all weights :math:`\\theta` of the layers",
        ),
    ),
    "fisher": (
        Equation(
            r"\frac{1}{2} \sum_c \frac{1}{B} \sum_{b=1}^{B} "
            r"\left( \sum_t z_{cbt} \frac{\partial L}{\partial z_{cbt}} \right)^2",
            "where :math:`z_{cbt}` is the output of unit :math:`c` of a Linear for example :math:`b` at token or step "
            ":math:`t`",
        ),
    ),
    "hidden_synaptic_saliency": (
        Equation(
            r"\frac{1}{N} \sum_h \left| h \frac{\partial L}{\partial h} \right|",
            "over the :math:`N` hidden states of all layers, examples and units after each step",
        ),
    ),
    "state_size": (
        Equation(
            r"\log_{10} \mathrm{median}_j \, \mathrm{std}(h_j)",
            "where :math:`h_j` is the state of unit :math:`j` after the last step",
        ),
    ),
    "input_gradient": (
        Equation(
            r"\log_{10} \overline{\left| \frac{\partial L}{\partial e} \right|}",
            "where :math:`e` is the embedding output, and the bar is the mean over its entries",
        ),
    ),
    "state_gradient": (
        Equation(
            r"\log_{10} \overline{\left| \frac{\partial L}{\partial h_0} \right|} - "
            r"\log_{10} \overline{\left| \frac{\partial L}{\partial h_T} \right|}",
            "where :math:`h_0` is the state that the first step reads, and :math:`h_T` that after the last",
        ),
    ),
    "swap": (
        Equation(
            r"\left| \{ ( \mathrm{sign}(a_{1v}), \ldots, \mathrm{sign}(a_{Bv}) ) : v \} \right|",
            "the number of distinct patterns of signs that the values :math:`v` of the activation functions show over "
            "the :math:`B` examples",
        ),
    ),
    "synflow": (
        Equation(
            r"\sum_{\theta} \left| \theta \frac{\partial R}{\partial \theta} \right|",
            "where :math:`R` is the sum of the outputs for inputs of 1 and absolute weights, without LayerNorm",
        ),
    ),
    "log_synflow": (
        Equation(
            r"\sum_{\theta} |\theta| \ln \left( 1 + \left| \frac{\partial R}{\partial \theta} \right| \right)",
            "where :math:`R` is that of SynFlow",
        ),
    ),
    "ntk_trace": (
        Equation(
            r"\sum_{n=1}^{B} \left\| \frac{\partial L_n}{\partial \theta} \right\|_2^2",
            "the trace of the neural tangent kernel, :math:`L_n` being the part of example :math:`n` in :math:`L`",
        ),
    ),
    "ntk_condition": (
        Equation(
            r"\frac{\lambda_{\max}(K)}{\lambda_{\min}(K)}",
            "where :math:`K` is the neural tangent kernel of the batch; lower is better",
        ),
    ),
    "w_pca": (
        Equation(
            r"P \sum_{l=1}^{\ell} k_l",
            "where :math:`P` is the number of parameters, and :math:`k_l` how many principal components hold 99% of "
            "the variance of the first Linear of layer :math:`l`'s feed-forward block",
        ),
    ),
    "zico": (
        Equation(
            r"\sum_W \ln \sum_{i,j} \frac{\mathrm{mean}_n |g_{nij}|}{\mathrm{std}_n \, g_{nij}}",
            "where :math:`g_{nij}` is what example :math:`n` adds to the gradient of :math:`L` at :math:`W_{ij}`",
        ),
    ),
}
