"""The ids of NAS-Bench-NLP: which cell an id or a log name stands for, regenerated from the published seeds.

The authors drew cells from the seeds 0, 1, 2, ... and kept the valid ones: the first 2,000 of one hidden state, the
first 2,000 of two, the first 735 of three. Each was trained up to three times, each training with its own id, after
the three hand-written cells.

Source: Klyuchnikov et al., "NAS-Bench-NLP" (arXiv 2006.07116).
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from itertools import islice

from nas.core.cache import cache_folder
from nas.core.errors import ZeronasError
from nas.core.files import replacing
from nas.truth.benchmarks.data import sha256
from spaces.rnn.cell import Cell, Node
from spaces.rnn.generator import NAMED_CELLS, generate, named_cell, valid_seeds

__all__ = ["BLOCKS", "FIRST_ID", "LAST_ID", "REPEATS", "Place", "cell_of", "locate_id", "log_id", "published_seeds"]

#: hidden states H -> (id of the first run of the first cell, number of cells)
BLOCKS = {1: (1_000_003, 2000), 2: (1_006_003, 2000), 3: (1_012_003, 735)}
REPEATS = 3
FIRST_ID, LAST_ID = 1_000_000, 1_012_003 + REPEATS * 735 - 1

# The lists take seconds to make, so they are kept in the cache folder; this pins their content.
_SEEDS_FILE = "nas-bench-nlp-seeds-v1.json"
_SEEDS_SHA256 = "5594234709609b752003ba65c72ad490389455eff0ef6c912c55aac57a59d6ee"
_LOG = re.compile(r"log_stats_model_(\d{7})_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d+\.json")


@dataclass(frozen=True)
class Place:
    """Where a generated cell stands: ``index`` k among the valid seeds of H = ``states``, and which ``repeat`` r."""

    states: int
    index: int
    repeat: int


def locate_id(id: int) -> Place | str:
    """Returns the place of a training's id, or the name of a hand-written cell (RNN, LSTM, GRU).

    Raises:
        ZeronasError: no such id.
    """
    if FIRST_ID <= id < FIRST_ID + len(NAMED_CELLS):
        return NAMED_CELLS[id - FIRST_ID]
    for states, (first, count) in BLOCKS.items():
        if first <= id < first + REPEATS * count:
            repeat, index = divmod(id - first, count)
            return Place(states, index, repeat)
    raise ZeronasError(f"NAS-Bench-NLP has no id {id}; its ids go from {FIRST_ID} to {LAST_ID}.")


def log_id(name: str) -> int:
    """Returns the id in the name of a training's log.

    Raises:
        ZeronasError: not the name of a log.
    """
    match = _LOG.fullmatch(name)
    if match is None:
        raise ZeronasError(
            f"'{name}' is not the name of a training's log; expected "
            "log_stats_model_ID_DATE_TIME_NUMBER.json with an ID of seven digits."
        )
    return int(match.group(1))


def cell_of(id: int) -> Cell:
    """Returns the cell that was trained under an id.

    Raises:
        ZeronasError: no such id.
    """
    place = locate_id(id)
    return named_cell(place) if isinstance(place, str) else _cell(place.states, place.index)


@cache
def _cell(states: int, index: int) -> Cell:
    cell = generate(published_seeds()[states][index], states)
    assert cell is not None  # the list of seeds was checked
    return _shared.setdefault(cell.nodes, cell)


# equal recipes share one object, and so one computed key
_shared: dict[tuple[Node, ...], Cell] = {}


@cache
def published_seeds() -> dict[int, tuple[int, ...]]:
    """Returns H -> the valid seeds in increasing order, from the cache folder where a sound list lies there.

    Raises:
        ZeronasError: the installed numpy draws other cells from the seeds than the published ones.
    """
    path = cache_folder() / _SEEDS_FILE
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if sha256(content) == _SEEDS_SHA256:
            return {int(states): tuple(seeds) for states, seeds in json.loads(content).items()}
    seeds = {
        states: tuple(seed for seed, _ in islice(valid_seeds(states), count)) for states, (_, count) in BLOCKS.items()
    }
    content = _encoded(seeds)
    if sha256(content) != _SEEDS_SHA256:
        raise ZeronasError(
            f"Under numpy {metadata.version('numpy')} the seeds of NAS-Bench-NLP do not give its cells (the list of "
            f"valid ones has the SHA-256 {sha256(content)[:12]}..., expected {_SEEDS_SHA256[:12]}...); install with "
            "constraints.txt."
        )
    # a cache that cannot be written costs time, nothing else
    with contextlib.suppress(OSError, ZeronasError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    return seeds


def _encoded(seeds: dict[int, tuple[int, ...]]) -> bytes:
    return json.dumps(seeds, separators=(",", ":")).encode()
