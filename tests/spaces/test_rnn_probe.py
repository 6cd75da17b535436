"""The probe of RNN cells: what it records, and which random numbers make the network."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import spaces.rnn.module
from nas.core import seeds
from nas.core.errors import ZeronasError
from proxies.base import Needs, Record
from spaces.rnn import Cell, RNNSpace, generate, named_cell, parse_cell
from spaces.rnn.probe import RNNProbe, _embedding
from spaces.tokens import token_ids

ROOT = Path(__file__).parents[2]
SPACE = RNNSpace()
ONE, TWO, THREE = (Needs(frozenset({"forward"}), layers) for layers in (1, 2, 3))
SMALL: dict[str, Any] = {"embedding": 3, "hidden": (5, 4), "batch": 2, "steps": 6, "vocabulary": 20}


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


def see(cell: Cell, needs: Needs = TWO, seed: int = 0, **changes: Any) -> Record:
    return RNNProbe(**{**SMALL, **changes}).observe(SPACE, cell, needs, seed)


def gru_written_differently() -> Cell:
    return parse_cell(
        {
            "q": node("linear", "h_prev_0", "x"),
            "n": node("linear", "m", "x"),
            "w": node("linear", "h_prev_0", "x"),
            "u": node("activation_sigm", "q"),
            "v": node("activation_sigm", "w"),
            "m": node("elementwise_prod", "h_prev_0", "v"),
            "h_new_0": node("blend", "u", "h_prev_0", "t"),
            "t": node("activation_tanh", "n"),
        }
    )


@pytest.mark.parametrize("init", ["derived", "replayed"])
def test_the_first_state_is_zero_and_the_last_is_left_out(init: str) -> None:
    """For h_new_0 = b + W x + U h the record is 0, h_1, .., h_{T-1}: a longer run shows what comes next."""
    for cell in (named_cell("RNN"), named_cell("LSTM")):
        record = see(cell, init=init)
        assert [tuple(h.shape) for h in record.hidden] == [(6, 2, 5), (6, 2, 4)]
        for hidden in record.hidden:
            assert not hidden[0].any() and bool(hidden[1:].any(dim=2).all())


@pytest.mark.parametrize("init", ["derived", "replayed"])
def test_states_follow_from_those_before(init: str) -> None:
    """One linear node: h_{t+1} - h_t is linear in what changed, so the recorded states obey one affine recurrence."""
    cell = parse_cell({"h_new_0": node("linear", "x", "h_prev_0")})
    record = see(cell, init=init, steps=40, batch=4)
    first, second = (h.double() for h in record.hidden)
    # layer 2 reads layer 1's outputs h_{t+1}: second[t+1] = b + W first[t+1] + U second[t]
    inputs = torch.cat([first[1:], second[:-1], torch.ones(39, 4, 1)], dim=2).reshape(-1, 10)
    target = second[1:].reshape(-1, 4)
    fitted = torch.linalg.lstsq(inputs, target).solution
    torch.testing.assert_close(inputs @ fitted, target, atol=1e-5, rtol=0)
    assert fitted.abs().max() < 0.5 + 1e-3  # weights and bias are U(-1/sqrt(4), 1/sqrt(4))


def test_record_names_what_it_saw() -> None:
    record = see(named_cell("GRU"), seed=7)
    assert (record.space, record.key, record.seed) == ("rnn", named_cell("GRU").key, 7)
    assert record.counts == SPACE.counts(named_cell("GRU"))


def test_the_same_record_in_another_process() -> None:
    code = (
        "import hashlib; from proxies.base import Needs; from spaces.rnn.probe import RNNProbe; "
        "from spaces.rnn import RNNSpace, named_cell; "
        f"p = RNNProbe(**{SMALL!r}); "
        "r = p.observe(RNNSpace(), named_cell('LSTM'), Needs(frozenset({'forward'}), 2), 5); "
        "print(*[hashlib.sha256(h.numpy().tobytes()).hexdigest() for h in r.hidden])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    torch.manual_seed(123)  # the global generator has no say
    torch.rand(10)
    here = [hashlib.sha256(h.numpy().tobytes()).hexdigest() for h in see(named_cell("LSTM"), seed=5).hidden]
    assert found.stdout.split() == here


@pytest.mark.parametrize("init", ["derived", "replayed"])
def test_seed_and_cell_decide(init: str) -> None:
    gru = named_cell("GRU")
    again = see(gru, init=init).hidden
    for layer, hidden in enumerate(see(gru, init=init).hidden):
        assert torch.equal(hidden, again[layer])
        assert not torch.equal(hidden, see(gru, init=init, seed=1).hidden[layer])
        assert not torch.equal(hidden, see(named_cell("RNN"), init=init).hidden[layer])


def test_derived_weights_belong_to_the_graph() -> None:
    other = gru_written_differently()
    assert other == named_cell("GRU")
    for a, b in zip(see(named_cell("GRU")).hidden, see(other).hidden, strict=True):
        assert torch.equal(a, b)


def test_derived_layers_do_not_depend_on_how_many_are_run() -> None:
    gru = named_cell("GRU")
    assert torch.equal(see(gru, ONE).hidden[0], see(gru, TWO).hidden[0])
    assert torch.equal(see(gru, ONE, hidden=(5,)).hidden[0], see(gru, TWO).hidden[0])


def replayed_states(cell: Cell, seed: int, embedding: int, sizes: list[int], vocabulary: int) -> list[torch.Tensor]:
    """Replays the released code's torch stream by hand for a cell of linear nodes only, in recipe order.

    The embedding's normal default; per layer the defaults of every linear node, then its reset; the decoder's
    default; encoder and decoder uniform. Then y = b + sum W v, node by node.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(bound: float, *shape: int) -> torch.Tensor:
        return torch.empty(*shape).uniform_(-bound, bound, generator=generator)

    torch.empty(vocabulary, embedding).normal_(generator=generator)
    weights: list[dict[str, tuple[list[torch.Tensor], torch.Tensor]]] = []
    for size_in, h in zip([embedding, *sizes[:-1]], sizes, strict=True):
        for item in cell.nodes:
            for source in item.inputs:
                uniform(1.0, h, size_in if source == "x" else h)
            uniform(1.0, h)
        weights.append({})
        for item in cell.nodes:
            bias = uniform(h**-0.5, h)  # parameters() yields a module's own before those of its lists
            matrices = [uniform(h**-0.5, h, size_in if source == "x" else h) for source in item.inputs]
            weights[-1][item.name] = (matrices, bias)
    uniform(1.0, vocabulary, max(sizes))
    uniform(1.0, vocabulary)
    uniform(0.1, vocabulary, embedding)
    table = uniform(0.1, vocabulary, embedding)
    x = table[torch.from_numpy(token_ids(6, 2, vocabulary, seed))]
    recorded = []
    for layer, h in zip(weights, sizes, strict=True):
        state, states = torch.zeros(2, h), []
        outputs = []
        for step in x:
            states.append(state)
            value = {"x": step, "h_prev_0": state}
            for item in cell.ordered:
                matrices, bias = layer[item.name]
                value[item.name] = bias + sum(value[s] @ m.T for s, m in zip(item.inputs, matrices, strict=True))
            state = value["h_new_0"]
            outputs.append(state)
        recorded.append(torch.stack(states))
        x = torch.stack(outputs)
    return recorded


def test_replayed_stream_against_a_replay_by_hand() -> None:
    cell = parse_cell({"a": node("linear", "x", "h_prev_0"), "h_new_0": node("linear", "h_prev_0", "a", "x")})
    for needs, layers in ((ONE, 1), (TWO, 2)):
        record = see(cell, needs, seed=3, init="replayed")
        expected = replayed_states(cell, 3, 3, [5, 4], 20)[:layers]
        for found, wanted in zip(record.hidden, expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_replayed_weights_follow_the_order_of_the_recipe() -> None:
    """Two ways to write one graph get different weights, whichever is asked for first."""
    recipe = {"a": node("linear", "x", "h_prev_0"), "h_new_0": node("linear", "h_prev_0", "a", "x")}
    first = parse_cell(recipe)
    second = parse_cell({"h_new_0": node("linear", "x", "a", "h_prev_0"), "a": node("linear", "h_prev_0", "x")})
    assert first == second
    records = [see(cell, ONE, seed=3, init="replayed").hidden[0] for cell in (first, second, first)]
    assert not torch.equal(records[0], records[1]) and torch.equal(records[0], records[2])
    for cell, found in zip((first, second), records, strict=False):
        torch.testing.assert_close(found, replayed_states(cell, 3, 3, [5, 4], 20)[0], rtol=1e-5, atol=1e-6)


def test_derived_embedding_depends_on_the_seed_alone() -> None:
    table = _embedding(20, 3, 0)
    assert tuple(table.shape) == (20, 3) and table.abs().max() <= 0.1
    expected = torch.rand(20, 3, generator=torch.Generator().manual_seed(seeds.integer(0, "embedding"))) * 0.2 - 0.1
    torch.testing.assert_close(table, expected)


def test_layers_run_only_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = spaces.rnn.module.unroll

    def counted(*args: Any) -> Any:
        calls.append(args)
        return original(*args)

    monkeypatch.setattr(spaces.rnn.module, "unroll", counted)
    for needs, runs in ((Needs(frozenset({"shapes"}), 0), 0), (Needs(frozenset(), 0), 0), (ONE, 1), (TWO, 2)):
        for init in ("derived", "replayed"):
            calls.clear()
            record = see(named_cell("GRU"), needs, init=init)
            assert len(calls) == len(record.hidden) == runs


def test_too_few_layers() -> None:
    with pytest.raises(ZeronasError) as error:
        see(named_cell("GRU"), THREE)
    assert str(error.value) == (
        "A proxy needs layer 3, but the probe has hidden sizes [5, 4], one per layer; choose a layer up to 2 or a "
        "probe with more layers."
    )


def test_a_text_is_read(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(" ".join(["a", "b", "c", "d"] * 4), encoding="utf-8")
    record = see(named_cell("RNN"), ONE, text=str(text))
    assert torch.equal(record.hidden[0][:, 0], record.hidden[0][:, 1])  # both streams read the same words
    assert not torch.equal(record.hidden[0], see(named_cell("RNN"), ONE).hidden[0])


def test_cells_of_three_states_start_from_zero() -> None:
    cell = next(cell for seed in range(500) if (cell := generate(seed, 3)) is not None)
    assert all(math.isfinite(float(h.abs().sum())) and not h[0].any() for h in see(cell).hidden)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"embedding": 0}, "needs embedding to be a whole number of 1 or more, but got 0."),
        ({"batch": 1.5}, "needs batch to be a whole number of 1 or more, but got 1.5."),
        ({"steps": True}, "needs steps to be a whole number of 1 or more, but got True."),
        ({"vocabulary": "9"}, "needs vocabulary to be a whole number of 1 or more, but got '9'."),
        ({"hidden": ()}, "needs hidden to be a list of one or more, each a whole number of 1 or more, but got ()."),
        (
            {"hidden": (4, 0)},
            "needs hidden to be a list of one or more, each a whole number of 1 or more, but got (4, 0).",
        ),
        ({"hidden": 64}, "needs hidden to be a list of one or more, each a whole number of 1 or more, but got 64."),
        (
            {"init": "replay"},
            "Unknown init 'replay' of the probe of space 'rnn'. Did you mean 'replayed'? Available: derived, replayed.",
        ),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        RNNProbe(**settings)
    assert str(error.value) == (f"The probe of space 'rnn' {sentence}" if sentence.startswith("needs") else sentence)
