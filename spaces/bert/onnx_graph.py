"""An encoder as ONNX, for any number of examples of up to 512 tokens: the modules of ``spaces.bert.module`` again."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spaces.bert.module import Attention, BertEncoder, EncoderLayer, FeedForward, LinearTransform, SpanConvolution
from spaces.bert.network import ResidualTransform
from spaces.onnx_file import Case, Graph, tensor

__all__ = ["cases", "model"]

_TURN = [0, 2, 1, 3]  # (B, T, n, d) <-> (B, n, T, d)
_END = 2**62  # of an axis, whatever its length
_FLOAT, _DOUBLE = 1, 11  # as TensorProto numbers kinds


def model(encoder: BertEncoder) -> bytes:
    """Returns the model of an encoder in evaluation mode, serialised: ``tokens`` (examples, tokens) -> ``hidden``."""
    graph = _Encoder()
    x = graph.embeddings(encoder)
    for layer in encoder.layers:
        assert isinstance(layer, EncoderLayer)
        x = graph.operation(layer.operation, x)
        x = graph.feed_forward(layer.feed_forward, x)
    graph("Identity", x, into="hidden")
    shape = ["examples", "tokens"]
    width = encoder.plan.hidden_size
    return graph.model("encoder", [tensor("tokens", shape, "INT64")], [tensor("hidden", [*shape, width])])


def cases(encoder: BertEncoder) -> list[Case]:
    """Returns what an encoder makes of two examples of seven tokens, of one of twelve, and of one token."""
    generator = torch.Generator().manual_seed(0)
    words = encoder.embeddings.word.num_embeddings
    found = []
    for shape in ((2, 7), (1, 12), (1, 1)):
        tokens = torch.randint(0, words, shape, generator=generator)
        with torch.no_grad():
            found.append(Case({"tokens": tokens}, {"hidden": encoder(tokens)}))
    return found


class _Encoder(Graph):
    """Adds the modules of an encoder; each method takes and returns names of (B, T, ..)."""

    def embeddings(self, encoder: BertEncoder) -> str:
        made = encoder.embeddings
        words = self("Gather", self.constant(made.word.weight), "tokens", axis=0)
        length = self("Shape", "tokens", start=1, end=2)
        zero = self.constant([0])
        positions = self("Slice", self.constant(made.position.weight + made.token_type.weight[0]), zero, length, zero)
        x = self.norm(made.norm, self("Add", words, positions))
        return self.linear(encoder.projection, x) if isinstance(encoder.projection, nn.Linear) else x

    def operation(self, module: nn.Module, x: str) -> str:
        if isinstance(module, Attention):
            return self.attention(module, x)
        if isinstance(module, SpanConvolution):
            return self.convolution(module, x)
        if isinstance(module, ResidualTransform):
            moved = self("Mul", self.transform(module.inner, x), self.orthonormal(module.inner, x))
            width = module.inner.input.out_features
            return self.norm(nn.LayerNorm(width, elementwise_affine=True), self("Add", x, moved))
        assert isinstance(module, LinearTransform)
        return self.transform(module, x)

    def feed_forward(self, module: FeedForward, x: str) -> str:
        inner = x
        for dense in (module.dense_in, *module.extra):
            assert isinstance(dense, nn.Linear)
            inner = self("Gelu", self.linear(dense, inner))
        return self.norm(module.norm, self("Add", self.linear(module.dense_out, inner), x))

    def attention(self, module: Attention, x: str) -> str:
        query, key, value = (self.linear(one, x) for one in (module.query, module.key, module.value))
        if module.weight is not None:
            query = self.linear(module.weight, query)
        context = self.attended(query, key, value, module.heads, module.query.out_features // module.heads)
        return self.norm(module.norm, self("Add", self.linear(module.output, context), x))

    def convolution(self, module: SpanConvolution, x: str) -> str:
        heads, kernel, reach = module.heads, module.kernel, (module.kernel - 1) // 2
        query, key, value = (self.linear(one, x) for one in (module.query, module.key, module.value))
        turned = self("Transpose", x, perm=[0, 2, 1])  # (B, h, T)
        deep = self(
            "Conv", turned, self.constant(module.depthwise.weight), group=module.depthwise.groups, pads=[reach] * 2
        )
        bias = module.pointwise.bias
        assert bias is not None
        span = self("Conv", deep, self.constant(module.pointwise.weight), self.constant(bias))
        span = self("Transpose", span, perm=[0, 2, 1])  # (B, T, a)
        weights = self.linear(module.conv_kernel, self("Mul", span, query))
        weights = self("Softmax", self.reshaped(weights, heads, kernel), axis=-1)  # (B, T, n, K)
        ends = self.constant([0, reach, 0, 0, reach, 0])
        padded = self.reshaped(self("Pad", self.linear(module.conv_out, x), ends), heads, module.head_size)
        total = ""
        for k in range(kernel):
            around = self.sliced(padded, 1, k, _END if k == kernel - 1 else k - kernel + 1)  # (B, T, n, d)
            term = self("Mul", around, self.sliced(weights, 3, k, k + 1))
            total = term if not total else self("Add", total, term)
        attended = self.attended(query, key, value, heads, module.head_size)
        context = self("Concat", attended, self.reshaped(total, heads * module.head_size), axis=-1)
        return self.norm(module.norm, self("Add", self.linear(module.output, context), x))

    def attended(self, query: str, key: str, value: str, heads: int, size: int) -> str:
        q, k, v = (self("Transpose", self.reshaped(one, heads, size), perm=_TURN) for one in (query, key, value))
        products = self("MatMul", q, self("Transpose", k, perm=[0, 1, 3, 2]))
        shares = self("Softmax", self("Div", products, self.constant(math.sqrt(size))), axis=-1)  # (B, n, T, T)
        return self.reshaped(self("Transpose", self("MatMul", shares, v), perm=_TURN), heads * size)

    def transform(self, module: LinearTransform, x: str) -> str:
        """Re F x F' is C x C - S x S, with cosines and sines of a Fourier transform F over (T, d); DCT-II is D x D'."""
        width = module.input.out_features
        size = width // module.heads
        heads = self("Transpose", self.reshaped(self.linear(module.input, x), module.heads, size), perm=_TURN)
        length = self("Shape", x, start=1, end=2)
        if module.cosine:
            mixed = self.between(self.waves(length, True)[0], heads, _cosines(size).T)
        else:
            (cosines, sines), angles = self.waves(length, False), _angles(size)
            mixed = self(
                "Sub", self.between(cosines, heads, angles.cos().T), self.between(sines, heads, angles.sin().T)
            )
        return self.reshaped(self("Transpose", mixed, perm=_TURN), width)

    def between(self, left: str, x: str, right: Tensor) -> str:
        """Returns left x right, (T, T) (B, n, T, d) (d, d)."""
        return self("MatMul", left, self("MatMul", x, self.constant(right.float())))

    def waves(self, length: str, cosine: bool) -> tuple[str, str]:
        """Returns cosines and sines (T, T) of the angles of as many points as there are tokens (see ``_angles``)."""
        zero, one = self.constant(0), self.constant(1)
        count = self("Squeeze", length)
        places = self("Range", zero, count, one)
        rows = self("Unsqueeze", places, self.constant([1]))
        turns, columns = count, places
        if cosine:
            columns = self("Add", self("Mul", places, self.constant(2)), one)
            turns = self("Mul", count, self.constant(4))
        part = self("Mod", self("Mul", rows, columns), turns)  # whole numbers: an angle is exact, however large
        angle = self("Div", self("Cast", part, to=_DOUBLE), self("Cast", turns, to=_DOUBLE))  # float64
        angle = self(
            "Cast", self("Mul", angle, self.constant(torch.tensor(2 * math.pi, dtype=torch.float64))), to=_FLOAT
        )
        cosines = self("Cos", angle)
        return self("Mul", cosines, self.constant(2.0)) if cosine else cosines, self("Sin", angle)

    def orthonormal(self, module: LinearTransform, x: str) -> str:
        """The factor of ``ResidualTransform``."""
        size = module.input.out_features // module.heads * (4 if module.cosine else 1)
        count = self("Cast", self("Squeeze", self("Shape", x, start=1, end=2)), to=_FLOAT)
        return self("Reciprocal", self("Sqrt", self("Mul", count, self.constant(float(size)))))

    def linear(self, module: nn.Linear, x: str) -> str:
        product = self("MatMul", x, self.constant(module.weight.T))
        return product if module.bias is None else self("Add", product, self.constant(module.bias))

    def norm(self, module: nn.LayerNorm, x: str) -> str:
        weight, bias = self.constant(module.weight), self.constant(module.bias)
        return self("LayerNormalization", x, weight, bias, axis=-1, epsilon=module.eps)

    def reshaped(self, x: str, *sizes: int) -> str:
        """Splits or merges what follows the first two axes."""
        return self("Reshape", x, self.constant([0, 0, *sizes]))

    def sliced(self, x: str, axis: int, begin: int, end: int) -> str:
        return self("Slice", x, self.constant([begin]), self.constant([end]), self.constant([axis]))


def _angles(size: int) -> Tensor:
    """Returns 2 pi n k / N, (N, N), float64."""
    places = torch.arange(size)
    return (places[:, None] * places % size).double() * (2 * math.pi / size)


def _cosines(size: int) -> Tensor:
    """Returns 2 cos(pi k (2n + 1) / 2N), row k, column n, (N, N), float64."""
    places = torch.arange(size)
    return 2 * ((places[:, None] * (2 * places + 1) % (4 * size)).double() * (math.pi / (2 * size))).cos()
