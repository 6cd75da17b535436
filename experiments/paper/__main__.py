"""``python -m experiments.paper [STEP ...]``: all steps, or those named, then the report."""

from __future__ import annotations

import sys

from experiments.guard import guarded
from experiments.paper.report import write_report
from experiments.paper.steps import STEPS
from nas.core.errors import ZeronasError, did_you_mean
from nas.truth import benchmarks

__all__ = ["main"]


def main() -> None:
    """Runs the steps named on the command line (all by default), and writes the report of what is there.

    Raises:
        ZeronasError: unknown step, or a public table is not available.
    """
    wanted = [argument for argument in sys.argv[1:] if argument != "report"]
    for step in wanted:
        if step not in STEPS:
            raise ZeronasError(f"Unknown step '{step}'.{did_you_mean(step, [*STEPS, 'report'])}")
    steps = wanted or ([] if "report" in sys.argv[1:] else list(STEPS))
    if steps:  # before any work: without the public tables a ranking would be one of the project's own
        for name in ("nas_bench_nlp", "flexibert"):
            benchmarks.get(name).entries  # noqa: B018
    for step in steps:
        print(f"== {step}", flush=True)
        STEPS[step]()
    print(f"report: {write_report()}")


if __name__ == "__main__":
    sys.exit(guarded(main))
