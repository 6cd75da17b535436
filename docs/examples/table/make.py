"""``python docs/examples/table/make.py``: writes encoders.csv, the encoders of two layers that ``mini_bert`` trained.

A row is a training: what the encoder is made of, its size, two scores of it untrained, its validation loss half-way and
at the end, and the seconds that it took.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import proxies
import spaces
from nas.core.files import write_text
from nas.engine.evaluate import Scorer
from nas.truth.benchmarks import MiniBERT

FILE = Path(__file__).with_name("encoders.csv")
SCORES = ("zerolm", "nsc")
HEADER = ("architecture", "hidden", "first", "second", "parameters", *SCORES, "half", "loss", "seconds")


def table() -> str:
    """Returns the text of the file, encoders in the order of their keys."""
    space, benchmark = spaces.get("bert"), MiniBERT()
    scorer = Scorer(space, space.make_probe(), {name: proxies.get(name, "bert") for name in SCORES}, seed=0)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    number = 0
    for entry in sorted(benchmark.entries, key=lambda entry: entry.key):
        made_of = space.describe(entry.architecture)
        if made_of["layers"] == 2:
            number += 1
            known = [f"encoder-{number:02}", made_of["hidden_size"], *made_of["operation_type"]]
            known.append(space.counts(entry.architecture).parameters)
            known += [f"{score.value:.6g}" for score in scorer(entry.architecture).scores.values()]
            for row in benchmark.trainings:
                if row["key"] == entry.key:
                    half = row["curve"].split()[3].partition(":")[2]  # the fourth of eight evaluations
                    writer.writerow([*known, half, f"{float(row['loss']):.4f}", row["seconds"]])
    return text.getvalue()


if __name__ == "__main__":
    write_text(FILE, table())
