"""Ids of NAS-Bench-NLP: worked by hand from the published layout, and the cached list of seeds."""

import json

import pytest

from nas.core.errors import ZeronasError
from nas.truth.benchmarks import recipes
from nas.truth.benchmarks.recipes import Place, cell_of, locate_id, log_id, published_seeds
from spaces.rnn.generator import generate


@pytest.mark.parametrize(
    ("id", "place"),
    [
        (1_000_000, "RNN"),
        (1_000_001, "LSTM"),
        (1_000_002, "GRU"),
        (1_000_003, Place(1, 0, 0)),
        (1_000_003 + 7 + 2000 * 2, Place(1, 7, 2)),
        (1_006_002, Place(1, 1999, 2)),
        (1_006_003, Place(2, 0, 0)),
        (1_006_003 + 1534 + 2000, Place(2, 1534, 1)),
        (1_009_537, Place(2, 1534, 1)),
        (1_012_002, Place(2, 1999, 2)),
        (1_012_003, Place(3, 0, 0)),
        (1_012_003 + 734, Place(3, 734, 0)),
        (1_012_003 + 735, Place(3, 0, 1)),
        (1_014_207, Place(3, 734, 2)),
    ],
)
def test_id_to_place(id, place):
    assert locate_id(id) == place


@pytest.mark.parametrize("id", [0, 999_999, 1_014_208])
def test_ids_out_of_range_are_told_the_range(id):
    with pytest.raises(ZeronasError) as error:
        locate_id(id)
    assert str(error.value) == f"NAS-Bench-NLP has no id {id}; its ids go from 1000000 to 1014207."


def test_the_repeats_of_a_cell_are_the_same_cell():
    first, last = cell_of(1_012_003 + 10), cell_of(1_012_003 + 10 + 2 * 735)
    assert first is last
    assert first.states == 3
    assert cell_of(1_000_001).states == 2  # the LSTM


def test_published_seeds_are_the_valid_ones():
    seeds = published_seeds()
    assert {states: len(found) for states, found in seeds.items()} == {1: 2000, 2: 2000, 3: 735}
    assert {states: found[-1] for states, found in seeds.items()} == {1: 2971, 2: 8148, 3: 9996}
    first = [seed for seed in range(seeds[3][5] + 1) if generate(seed, 3) is not None]
    assert first == list(seeds[3][:6])


@pytest.mark.parametrize("content", ["", "{", '{"1":[1,2,3],"2":[1],"3":[1]}'])
def test_a_bad_cache_is_ignored_and_replaced(tmp_path, monkeypatch, content):
    good = published_seeds()
    monkeypatch.setattr(recipes, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(recipes, "valid_seeds", lambda states: iter([(seed, None) for seed in good[states]]))
    (tmp_path / recipes._SEEDS_FILE).write_text(content)
    assert published_seeds.__wrapped__() == good
    assert [path.name for path in tmp_path.iterdir()] == [recipes._SEEDS_FILE]
    written = json.loads((tmp_path / recipes._SEEDS_FILE).read_text())
    assert written["3"] == list(good[3])

    def no_generator(states):
        raise AssertionError("a sound cache must be used")

    monkeypatch.setattr(recipes, "valid_seeds", no_generator)
    assert published_seeds.__wrapped__() == good


def test_a_cache_folder_that_cannot_be_written_is_tolerated(tmp_path, monkeypatch):
    good = published_seeds()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(recipes, "cache_folder", lambda: tmp_path / "file" / "inside")
    monkeypatch.setattr(recipes, "valid_seeds", lambda states: iter([(seed, None) for seed in good[states]]))
    assert published_seeds.__wrapped__() == good


def test_a_list_that_is_not_the_published_one_is_never_used(tmp_path, monkeypatch):
    """As it would be under a numpy whose random stream is another."""
    good = published_seeds()
    monkeypatch.setattr(recipes, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(recipes, "valid_seeds", lambda states: iter([(seed + 1, None) for seed in good[states]]))
    with pytest.raises(ZeronasError, match=r"^Under numpy .* do not give its cells .*; install with constraints"):
        published_seeds.__wrapped__()
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_breaks_off_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    good = published_seeds()
    monkeypatch.setattr(recipes, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(recipes, "valid_seeds", lambda states: iter([(seed, None) for seed in good[states]]))
    monkeypatch.setattr("pathlib.Path.replace", full)
    assert published_seeds.__wrapped__() == good
    assert list(tmp_path.iterdir()) == []


def test_log_names():
    assert log_id("log_stats_model_1000003_2020-01-02_03-04-05_999900001.json") == 1_000_003
    with pytest.raises(ZeronasError, match=r"'logs.zip' is not the name of a training's log; expected log_stats_"):
        log_id("logs.zip")
