"""Training: the corpus, the protocols, exact resumption, divergence as a result, the journal of many trainings."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spaces
from nas.core.errors import ZeronasError
from nas.core.lines import append_shared
from nas.truth.train import corpus as corpora
from nas.truth.train import protocol as protocols
from nas.truth.train import sealed, trainer
from nas.truth.train.corpus import Corpus, from_files
from nas.truth.train.table import Job, read_lines, train_all
from nas.truth.train.trainer import CHECKPOINT, load_model, make_model, save_model, train
from spaces.bert.config import BertConfig, Layer
from spaces.bert.language_model import MaskedModel, scaled
from spaces.bert.protocol import BertProtocol
from spaces.bert.readings import plan
from spaces.protocol import EOS, MASK, UNKNOWN
from spaces.rnn import named_cell
from spaces.rnn.language_model import WordModel
from spaces.rnn.protocol import RNNProtocol

PLAIN = RNNProtocol(
    name="tiny",
    steps=24,
    batch=4,
    sequence=8,
    learning_rate=1e-2,
    embedding=8,
    hidden=(8,),
    vocabulary=40,
    cutoffs=(10,),
)
RNN = replace(PLAIN, hidden=(8, 8), warmup=2, evaluations=4, dropout=0.1, weight_drop=0.1, activation=2.0, slowness=1.0)
BERT = BertProtocol(
    name="tiny",
    steps=12,
    batch=4,
    sequence=8,
    learning_rate=1e-2,
    evaluations=3,
    divisor=8,
    dropout=0.1,
    vocabulary=40,
    cutoffs=(10,),
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Lines that count up from anywhere: after a word only one other follows."""
    path = tmp_path / "text.txt"
    starts = np.random.default_rng(0).integers(0, 20, 240)
    lines = [" ".join(f"w{(start + i) % 20}" for i in range(12)) for start in starts]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def corpus(text: Path) -> Corpus:
    return from_files(text, 40)


def bert_configuration() -> Any:
    return spaces.get("bert").sample(np.random.default_rng(0))


# ---------------------------------------------------------------------------------------------------- corpus


def test_a_text_becomes_ids_by_frequency_with_an_end_after_each_line(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    lines = ["B a a", "a c c b"] + ["a a"] * 18
    path.write_text("\n".join(lines), encoding="utf-8")
    found = from_files(path, 6)  # four special ids and two words
    assert found.words == ("<pad>", "<mask>", "<unk>", "<eos>", "a", "b")  # b before c: as frequent, alphabetical
    assert found.splits["train"][:9].tolist() == [5, 4, 4, EOS, 4, UNKNOWN, UNKNOWN, 5, EOS]
    assert found.splits["valid"].tolist() == [4, 4, EOS]  # the tenth line
    assert found.splits["test"].tolist() == [4, 4, EOS]  # the twentieth


def test_twenty_files_are_split_by_file(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"{i:02}.txt").write_text(f"word{i} word{i}\n", encoding="utf-8")
    found = from_files(tmp_path, 100)
    assert len(found.splits["train"]) == 18 * 3
    assert found.splits["valid"].tolist() == [
        UNKNOWN,
        UNKNOWN,
        EOS,
    ]  # words of held-out files are not in the vocabulary


def test_the_fingerprint_tells_texts_apart(tmp_path: Path, text: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(text.read_text(encoding="utf-8").replace("w3 ", "w4 ", 1), encoding="utf-8")
    assert from_files(text, 40).fingerprint == from_files(text, 40).fingerprint
    assert from_files(text, 40).fingerprint != from_files(other, 40).fingerprint


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), (b"\xff\xfe", "not UTF-8"), (b"one line", "too short")]
)
def test_a_text_that_cannot_be_used_is_told(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ZeronasError, match=words):
        from_files(path, 40)


def test_docstrings_are_prose_once_each_without_code_and_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "somepackage"
    (package / "tests").mkdir(parents=True)
    doc = '"""One two three four five six.\n\n>>> code here that is no prose at all\n\nShort heading\n"""\n'
    (package / "a.py").write_text(doc, encoding="utf-8")
    (package / "b.py").write_text(
        doc + 'def f():\n    """Has 12 items, and one 3.5 of them is_new."""\n', encoding="utf-8"
    )
    (package / "tests" / "c.py").write_text('"""A test has words that nobody else would have."""\n', encoding="utf-8")
    (package / "broken.py").write_text('"""Never closed', encoding="utf-8")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(corpora, "PACKAGES", ("somepackage",))
    found = sorted(" ".join(words) for _, words in corpora._docstring_paragraphs())
    assert found == ["has N items and one N of them is new", "one two three four five six"]


def test_the_cached_corpus_is_the_one_that_was_read(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "cache" / "c.npz"
    corpora._write_cache(path, corpus.words, corpus.splits)
    kept = corpora._read_cache(path)
    assert kept is not None
    assert corpora._corpus("x", *kept, {}).fingerprint == corpus.fingerprint
    content = path.read_bytes()
    path.write_bytes(content[:100])
    assert corpora._read_cache(path) is None  # a damaged one is made again
    damaged = 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        kept = corpora._read_cache(path)
        damaged += kept is None
        assert kept is None or corpora._corpus("x", *kept, {}).fingerprint == corpus.fingerprint
    assert damaged > 10


def test_a_corpus_that_cannot_be_cached_leaves_nothing_behind(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **arrays: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    corpora._write_cache(tmp_path / "cache" / "c.npz", corpus.words, corpus.splits)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_few_files_are_split_by_paragraph_through_all_of_them(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.txt").write_text("\n".join([f"line {name}"] * 15), encoding="utf-8")
    splits = from_files(tmp_path, 40).splits
    assert [len(splits[split]) // 3 for split in corpora.SPLITS] == [54, 3, 3]


def test_special_tokens_that_a_text_brings_are_no_second_ones(tmp_path: Path) -> None:
    path = tmp_path / "ptb.txt"
    path.write_text("\n".join(["the <unk> said N <eos>", "a <mask> of <pad>"] * 20), encoding="utf-8")
    found = from_files(path, 40)
    assert found.words == ("<pad>", "<mask>", "<unk>", "<eos>", "n", "said", "the", "a", "of")
    ids = {word: number for number, word in enumerate(found.words)}
    assert found.splits["train"][:11].tolist() == [
        *(ids["the"], UNKNOWN, ids["said"], ids["n"], EOS, EOS),
        *(ids["a"], UNKNOWN, ids["of"], UNKNOWN, EOS),
    ]


def test_no_corpus_at_all_is_told() -> None:
    with pytest.raises(ZeronasError, match="but got ''"):
        corpora.load("", 40)


# -------------------------------------------------------------------------------------------------- protocols


def test_the_hash_is_of_everything_but_the_name() -> None:
    assert replace(RNN, name="other").hash == RNN.hash
    words = {"adamw": "sgd", "sgd": "adamw", "cosine": "constant", "constant": "cosine"}
    by_kind = {tuple: lambda v: (*v, 20), float: lambda v: v + 0.5, str: lambda v: words[v]}
    seen = {RNN.hash}
    for field in fields(RNN):
        if field.name == "name":
            continue
        value = getattr(RNN, field.name)
        other = by_kind.get(type(value), lambda v: v + 1)(value)
        changed = replace(RNN, **{field.name: other})
        assert changed.hash not in seen, field.name
        seen.add(changed.hash)


def test_a_whole_number_and_its_decimal_are_one_setting() -> None:
    standard = protocols.get("mini_rnn")
    assert protocols.get("mini_rnn", dropout=0, activation=2).hash == standard.hash
    assert protocols.get("mini_rnn", dropout=0.1).hash != standard.hash


def test_evaluations_are_spread_evenly_and_end_with_the_last_update() -> None:
    assert [step for step in range(1, 25) if RNN.evaluated(step)] == [6, 12, 18, 24]


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("mini_rn", {}, "Did you mean 'mini_rnn'"),
        ("mini_rnn", {"step": 1}, "Did you mean 'steps'"),
        ("mini_rnn", {"steps": 0}, "whole number of 1 or more, but got 0"),
        ("mini_rnn", {"steps": 1.5}, "whole number"),
        ("mini_rnn", {"dropout": 1.0}, "below 1"),
        ("mini_rnn", {"hidden": 7}, "a list of one or more, each a whole number of 1"),
        ("mini_rnn", {"hidden": []}, "a list of one or more, each a whole number of 1"),
        ("mini_bert", {"hidden": [7]}, "has no option 'hidden'"),
        ("mini_bert", {"divisor": 3}, "divisor"),
        ("mini_bert", {"sequence": 513}, "at most 512"),
        ("mini_bert", {"transform_residual": 1}, "true or false, but got 1"),
        ("mini_rnn", {"optimiser": "adam"}, "Unknown optimiser 'adam' of protocol 'mini_rnn'. Did you mean 'adamw'"),
        ("mini_rnn", {"schedule": 3}, "schedule to be cosine or constant, but got 3"),
        ("mini_rnn", {"seeds": [0, -1]}, "a list of one or more, each a whole number of 0 or more"),
        ("mini_rnn", {"cutoffs": [2_000]}, r"last below vocabulary - 1, but got \(cutoffs=\[2000\], vocabulary=1000\)"),
        ("mini_rnn", {"cutoffs": [5, 4]}, "in increasing order"),
        ("mini_bert", {"divisor": True}, "divisor to be 1, 2, 4, 8, 16 or 32, but got True"),
        ("mini_rnn", {"validation_tokens": 1}, "2 or more, but got 1"),
    ],
)
def test_a_wrong_protocol_is_told(name: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ZeronasError, match=words):
        protocols.get(name, **changes)


# --------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("kind", ["rnn", "bert"])
def test_a_training_is_the_same_every_time_and_with_any_number_of_threads(kind: str, corpus: Corpus) -> None:
    architecture, protocol = (named_cell("LSTM"), RNN) if kind == "rnn" else (bert_configuration(), BERT)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first, model = train(architecture, protocol, corpus, seed=3)
        torch.set_num_threads(2)
        torch.manual_seed(99)
        second, again = train(architecture, protocol, corpus, seed=3)
        assert torch.get_num_threads() == 2  # left as it was
    finally:
        torch.set_num_threads(threads)
    assert first.curve == second.curve and first.value == second.value is not None
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    other, _ = train(architecture, protocol, corpus, seed=4)
    assert other.value != first.value


@pytest.mark.parametrize("kind", ["rnn", "bert"])
def test_an_interrupted_training_continues_to_the_bit(kind: str, corpus: Corpus, tmp_path: Path) -> None:
    architecture, protocol = (named_cell("GRU"), RNN) if kind == "rnn" else (bert_configuration(), BERT)
    whole, model = train(architecture, protocol, corpus)
    steps: list[int] = []

    def stop_at_second(step: int, value: float) -> None:
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(architecture, protocol, corpus, folder=tmp_path, report=stop_at_second)
    seen: list[int] = []
    resumed, again = train(architecture, protocol, corpus, folder=tmp_path, report=lambda step, _: seen.append(step))
    assert seen[0] > steps[-1]  # what was done is not done again
    assert resumed.curve == whole.curve
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ZeronasError, match="another training"):
        train(architecture, protocol, corpus, seed=1, folder=tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(ZeronasError, match="cannot be read"):
        train(architecture, protocol, corpus, folder=tmp_path)


@pytest.mark.parametrize("kind", ["rnn", "bert"])
def test_between_evaluations_a_checkpoint_is_kept_by_time(
    kind: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture, protocol = (named_cell("GRU"), RNN) if kind == "rnn" else (bert_configuration(), BERT)
    whole, model = train(architecture, protocol, corpus)
    monkeypatch.setattr(trainer, "_EVERY", 0.0)
    kind_of_model = WordModel if kind == "rnn" else MaskedModel
    loss, stop = kind_of_model.loss, protocol.steps // 2 + 1
    assert not protocol.evaluated(stop)

    def interrupted(self: Any, text: Corpus, step: int, seed: int, carried: Any) -> Any:
        if step == stop:
            raise KeyboardInterrupt
        return loss(self, text, step, seed, carried)

    with monkeypatch.context() as patched:
        patched.setattr(kind_of_model, "loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(architecture, protocol, corpus, folder=tmp_path)
    seen: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(
            kind_of_model, "loss", lambda self, text, step, *rest: seen.append(step) or loss(self, text, step, *rest)
        )
        resumed, again = train(architecture, protocol, corpus, folder=tmp_path)
    assert seen[0] == stop  # no update is made again
    assert resumed.curve == whole.curve
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("content", "words"),
    [({"identity": 5}, "another training"), ({}, "another training"), ({"step": 1}, "damaged")],
)
def test_a_checkpoint_that_is_none_is_told(content: dict[str, Any], words: str, corpus: Corpus, tmp_path: Path) -> None:
    if "step" in content:
        cell = named_cell("RNN")
        content["identity"] = {"key": cell.key, "seed": 0, "protocol": PLAIN.hash, "corpus": corpus.fingerprint}
    sealed.save(tmp_path / CHECKPOINT, content)
    with pytest.raises(ZeronasError, match=words):
        train(named_cell("RNN"), PLAIN, corpus, folder=tmp_path)


@pytest.mark.parametrize("kind", ["checkpoint", "weights"])
def test_one_flipped_byte_is_noticed_wherever_it_is(kind: str, corpus: Corpus, tmp_path: Path) -> None:
    made, model = train(named_cell("RNN"), PLAIN, corpus, folder=tmp_path)
    path = tmp_path / CHECKPOINT
    if kind == "weights":
        path = tmp_path / "weights.pt"
        save_model(path, model, named_cell("RNN"), made, corpus)

    def use() -> Any:
        if kind == "weights":
            return load_model(path)
        return train(named_cell("RNN"), PLAIN, corpus, folder=tmp_path)

    whole = path.read_bytes()
    for place in [*range(0, len(whole), 199), *range(len(whole) - 101, len(whole), 5)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ZeronasError, match=r"is damaged \(its SHA-256|does not end with its SHA-256"):
            use()
    for cut in (whole[:-1], whole[: len(whole) // 2], b""):
        path.write_bytes(cut)
        with pytest.raises(ZeronasError, match="does not end with its SHA-256"):
            use()
    path.write_bytes(whole)
    use()


def test_a_checkpoint_of_an_earlier_version_is_told(corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    torch.save({"identity": {}, "step": 1}, path)
    with pytest.raises(ZeronasError) as error:
        train(named_cell("RNN"), PLAIN, corpus, folder=tmp_path)
    assert str(error.value) == (
        f"'{path}' cannot be read as a file of weights (it does not end with its SHA-256: it was cut off, or an "
        "earlier version wrote it); delete it, or start over with fresh=true."
    )


def test_a_full_disk_is_told_and_leaves_no_part_of_a_file(corpus: Corpus, tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
        with pytest.raises(ZeronasError, match=r"checkpoint.pt' cannot be written \(File too large"):
            train(named_cell("RNN"), PLAIN, corpus, folder=tmp_path)
        append_shared(tmp_path / "j.jsonl", {"key": "x"})
        with pytest.raises(ZeronasError, match=r"j.jsonl' cannot be written \(File too large"):
            append_shared(tmp_path / "j.jsonl", {"key": "x" * 2_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j.jsonl", "j.lock", "text.txt"]
    assert (tmp_path / "j.jsonl").read_text() == '{"key":"x"}\n'  # what was written of the line is taken back


def test_a_cell_learns_what_follows_what(corpus: Corpus) -> None:
    """Each word of the text has one successor; only where a line begins must be guessed, one token in thirteen."""
    protocol = replace(PLAIN, steps=300, sequence=16, learning_rate=2e-2, embedding=16, hidden=(32,), evaluations=1)
    made, _ = train(named_cell("LSTM"), protocol, corpus)
    untrained = make_model(named_cell("LSTM"), protocol, corpus.vocabulary).validate(corpus)
    assert untrained > math.log(20)
    assert made.value is not None and made.value < 0.5


def test_a_masked_model_learns_what_stands_between(corpus: Corpus) -> None:
    changes = {"steps": 250, "batch": 16, "sequence": 13, "learning_rate": 3e-3, "warmup": 20, "evaluations": 1}
    protocol = replace(BERT, **changes, divisor=4, dropout=0.0)
    convolution = BertConfig(128, (Layer("DSC", 5, 2, 512, 1), Layer("DSC", 5, 2, 512, 1)))
    made, _ = train(convolution, protocol, corpus)
    assert made.value is not None and made.value < 2.0 < math.log(20)


def test_validation_is_the_mean_loss_of_every_next_token(corpus: Corpus) -> None:
    model = make_model(named_cell("RNN"), RNN, corpus.vocabulary).eval()
    ids = torch.from_numpy(corpus.splits["valid"].astype(np.int64))[:120]  # short enough for one stream
    corpus.splits["valid"] = ids.numpy()
    with torch.no_grad():
        hidden, _ = model.run(ids[:-1, None], None)
        logs = model.softmax.log_prob(hidden.flatten(0, 1))
    expected = -float(logs[torch.arange(len(ids) - 1), ids[1:]].double().mean())
    assert model.validate(corpus) == pytest.approx(expected, abs=1e-6)


def test_a_state_that_overflows_is_counted_and_a_training_of_such_updates_diverged(corpus: Corpus) -> None:
    squared = {
        "node_0": {"op": "linear", "input": ["x", "h_prev_0"]},
        "node_1": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "elementwise_prod", "input": ["node_0", "node_1"]},
    }
    protocol = replace(PLAIN, steps=60, sequence=32, learning_rate=1.0)
    made, _ = train(spaces.get("rnn").parse(squared), protocol, corpus)
    assert made.value is None
    assert made.reason.startswith("diverged: ") and made.skipped > 3
    assert json.loads(json.dumps(made.to_json()))["reason"] == made.reason


def test_a_saved_model_comes_back_with_its_words(corpus: Corpus, tmp_path: Path) -> None:
    for architecture, protocol in ((named_cell("LSTM"), RNN), (bert_configuration(), BERT)):
        made, model = train(architecture, protocol, corpus)
        path = tmp_path / "weights.pt"
        save_model(path, model, architecture, made, corpus)
        drawn = torch.get_rng_state()
        loaded, words = load_model(path)
        assert torch.equal(torch.get_rng_state(), drawn)  # loading draws nothing from the caller's generator
        assert words == corpus.words
        assert loaded.validate(corpus) == made.value
    assert set(torch.load(path, weights_only=True)) >= {"weights", "words"}  # torch reads it as any file of its own
    sealed.save(path, {"weights": {}})
    with pytest.raises(ZeronasError, match="no saved model"):
        load_model(path)


def test_only_some_tokens_are_predicted_and_most_of_them_hidden(corpus: Corpus) -> None:
    protocol = BertProtocol(name="t", steps=1, batch=8, sequence=64, learning_rate=1e-3, divisor=8, vocabulary=40)
    model = MaskedModel(bert_configuration(), protocol, corpus.vocabulary).eval()
    shown: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    windows = np.tile(np.arange(4, 20), (20, 4)).astype(np.int64)  # (20, 64), no special ids
    result = model._masked(windows, np.random.default_rng(0))
    assert result.output.numel() == round(0.15 * windows.size) == 192
    masked = int((shown[0] == MASK).sum())
    assert 130 < masked < 175  # 80% of 192 are 154
    assert int((shown[0].numpy() != windows).sum()) < 192  # a tenth is left as it was


def test_scaling_divides_widths_and_nothing_else() -> None:
    made = plan(bert_configuration(), "stated")
    small = scaled(made, 4)
    assert small.hidden_size * 4 == made.hidden_size
    for a, b in zip(small.layers, made.layers, strict=True):
        assert (a.operation, a.heads, a.kernel) == (b.operation, b.heads, b.kernel)
        assert a.head_size * 4 == b.head_size and [4 * w for w in a.feed_forward] == list(b.feed_forward)


# ------------------------------------------------------------------------------------------------ many trainings


def jobs() -> list[Job]:
    return [Job(named_cell(name), RNN, seed) for seed in (0, 1) for name in ("RNN", "GRU")]


def test_finished_trainings_survive_an_interruption_and_a_cut_off_line(text: Path, tmp_path: Path) -> None:
    whole = train_all(jobs(), str(text), tmp_path / "whole.jsonl")
    path = tmp_path / "cut.jsonl"

    def stop(done: int, wanted: int, record: dict[str, Any]) -> None:
        assert wanted == 4
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_all(jobs(), str(text), path, report=stop)
    assert len(read_lines(path)) == 2
    before = path.read_text(encoding="utf-8")
    path.write_text(before + whole_line(whole[2])[:40], encoding="utf-8")  # as a kill in the middle of a line leaves it
    trained: list[str] = []
    resumed = train_all(jobs(), str(text), path, report=lambda a, b, record: trained.append(record["key"]))
    assert len(trained) == 2 and path.read_text(encoding="utf-8").startswith(before)
    assert [strip(record) for record in resumed] == [strip(record) for record in whole]


def whole_line(record: dict[str, Any]) -> str:
    return json.dumps(record)


def strip(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k != "seconds"}


def test_two_workers_give_what_one_does(text: Path, tmp_path: Path) -> None:
    one = train_all(jobs()[:2], str(text), tmp_path / "one.jsonl")
    two = train_all(jobs()[:2], str(text), tmp_path / "two.jsonl", executor=2)
    assert [strip(record) for record in one] == [strip(record) for record in two]


def test_two_processes_that_want_the_same_trainings_share_them(text: Path, tmp_path: Path) -> None:
    path, script = tmp_path / "j.jsonl", tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "from tests.nas.test_train import jobs\n"
        "from nas.truth.train.table import train_all\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    made = []\n"
        "    text, path, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])\n"
        "    train_all(jobs(), text, path, workers, lambda a, b, record: made.append(record['key']))\n"
        "    print(len(made))\n",
        encoding="utf-8",
    )
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    started = [
        subprocess.Popen(
            [sys.executable, script, text, path, workers], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for workers in ("1", "2")
    ]
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert sum(int(out) for out, _ in said) == len(jobs()) == len(path.read_text(encoding="utf-8").splitlines())
    assert set(read_lines(path)) == {job.id for job in jobs()}


def test_a_training_that_breaks_loses_none_that_runs_beside_it(text: Path, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    broken = Job(named_cell("RNN"), replace(PLAIN, sequence=10_000), 0)  # longer than the text: an error at once
    with pytest.raises(ZeronasError, match="tokens to train on"):
        train_all([broken, *jobs()], str(text), path, executor=2)
    assert jobs()[0].id in read_lines(path) and broken.id not in read_lines(path)


def test_want_of_memory_is_a_result_that_is_tried_again(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.jsonl"
    large = Job(named_cell("RNN"), replace(PLAIN, hidden=(10_000_000,)), 0)
    assert [record["reason"] for record in train_all([large, jobs()[0]], str(text), path)] == ["out of memory", ""]
    tried: list[str] = []
    train_all([large, jobs()[0]], str(text), path, report=lambda a, b, record: tried.append(record["reason"]))
    assert tried == ["out of memory"]  # the other one is not trained again


def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    """Only the child holds the pipe's other end, so the pipe ends when, and only when, the child has."""
    script, pipe = tmp_path / "start.py", tmp_path / "pipe"
    script.write_text(
        "import multiprocessing, os, signal, sys, threading\n"
        "from nas.core.workers import end_with_parent\n"
        "def work(path):\n"
        "    end_with_parent()\n"
        "    os.write(os.open(path, os.O_WRONLY), str(os.getpid()).encode())\n"
        "    threading.Event().wait()\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.get_context('spawn').Process(target=work, args=(sys.argv[1],)).start()\n"
        "    signal.pause()\n",
        encoding="utf-8",
    )
    os.mkfifo(pipe)
    told = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def read() -> bytes:
        """Waits until the child says something or is gone; for ever would be a failure, too."""
        assert select.select([told], [], [], 120)[0], "nothing was heard of the child"
        return os.read(told, 100)

    parent = subprocess.Popen([sys.executable, str(script), str(pipe)], cwd=Path(trainer.__file__).parents[2])
    child = 0
    try:
        child = int(read())
        parent.kill()
        parent.wait()
        assert read() == b""
    finally:
        parent.kill()
        parent.wait()
        os.close(told)
        if child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def test_trainings_on_another_text_are_refused(text: Path, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    train_all(jobs()[:1], str(text), path)
    text.write_text(text.read_text(encoding="utf-8") + "\nw1 w2 w9 w9 w9", encoding="utf-8")
    with pytest.raises(ZeronasError, match="another corpus"):
        train_all(jobs()[:1], str(text), path)


def test_a_damaged_journal_is_told_with_its_line(text: Path, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    for line in ("nothing of use", '{"key": "a", "protocol": "b", "seed": 0, "value": 1.0, "reason": ""}'):
        path.write_text(line + "\n", encoding="utf-8")
        with pytest.raises(ZeronasError, match="Line 1"):
            train_all(jobs()[:1], str(text), path)


def test_a_loss_far_above_guessing_ends_a_training(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 1.6 * math.log(corpus.vocabulary), 2.0])
    monkeypatch.setattr(WordModel, "validate", lambda self, corpus: next(losses))
    made, _ = train(named_cell("RNN"), RNN, corpus, folder=tmp_path)
    assert made.value is None and [step for step, _ in made.curve] == [6, 12]
    assert made.reason == (
        f"diverged: the validation loss is {1.6 * math.log(corpus.vocabulary):.3g} nats after 12 updates "
        f"(guessing evenly: {math.log(corpus.vocabulary):.1f})"
    )
    again, _ = train(named_cell("RNN"), RNN, corpus, folder=tmp_path)  # continued, it is no other
    assert (again.value, again.reason) == (None, made.reason)


def test_validation_goes_through_every_stream(corpus: Corpus) -> None:
    """Four streams of 65 tokens and more: each token but the first of a stream is predicted once, from a zero state."""
    model = make_model(named_cell("LSTM"), RNN, corpus.vocabulary).eval()
    ids = np.tile(corpus.splits["valid"], 10)[:290].astype(np.int64)
    corpus.splits["valid"] = ids
    streams = torch.from_numpy(ids[: 4 * 72].reshape(4, 72))
    total, count = 0.0, 0
    with torch.no_grad():
        for stream in streams:
            hidden, _ = model.run(stream[:-1, None], None)
            logs = model.softmax.log_prob(hidden.flatten(0, 1))
            total -= float(logs[torch.arange(71), stream[1:]].double().sum())
            count += 71
    assert model.validate(corpus) == pytest.approx(total / count, abs=1e-6)


def test_transforms_are_orthonormal_and_keep_their_input(corpus: Corpus) -> None:
    from scipy.fft import dctn, fft2

    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 6, 16)).astype(np.float32))
    for operation in ("DFT", "DCT"):
        config = BertConfig(128, (Layer("LT", operation, 2, 512, 1), Layer("LT", operation, 2, 512, 1)))
        layer = MaskedModel(config, BERT, corpus.vocabulary).eval().encoder.layers[0].operation
        with torch.no_grad():
            heads = layer.inner.input(x)[0].reshape(6, 2, 8).permute(1, 0, 2).double().numpy()
            mixed = [
                dctn(h, norm="ortho") * _first_rows(6, 8) if operation == "DCT" else fft2(h, norm="ortho").real
                for h in heads
            ]
            wanted = torch.nn.functional.layer_norm(x[0] + torch.from_numpy(np.concatenate(mixed, 1)).float(), (16,))
            torch.testing.assert_close(layer(x)[0], wanted, rtol=1e-4, atol=1e-4)
    raw = replace(BERT, transform_residual=False)
    counts = [sum(p.numel() for p in MaskedModel(config, p_, corpus.vocabulary).parameters()) for p_ in (BERT, raw)]
    assert counts[0] == counts[1]


def _first_rows(rows: int, columns: int) -> np.ndarray:
    """Factors of the orthonormal DCT-II that this one leaves out: sqrt(2) on the first row and column."""
    factor = np.ones((rows, columns))
    factor[0] *= 2**0.5
    factor[:, 0] *= 2**0.5
    return factor


def test_a_text_in_one_line_is_cut_and_one_shorter_than_an_update_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    path.write_text(" ".join(f"w{i % 20}" for i in range(4000)), encoding="utf-8")
    found = from_files(path, 40)
    assert sum(len(ids) for ids in found.splits.values()) == 4000 + 40  # an end after every hundred words
    assert all(len(ids) > 100 for ids in found.splits.values())
    short = tmp_path / "short.txt"
    short.write_text("\n".join(["one"] * 20), encoding="utf-8")
    for architecture, protocol in (
        (named_cell("RNN"), replace(RNN, batch=5)),
        (bert_configuration(), protocols.get("mini_bert", sequence=64)),
    ):
        with pytest.raises(ZeronasError, match="36 tokens to train on"):
            train(architecture, protocol, from_files(short, 40))


def test_drop_out_of_a_configuration_is_the_protocols() -> None:
    model = MaskedModel(bert_configuration(), protocols.get("mini_bert", dropout=0.5), 40)
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.5}
