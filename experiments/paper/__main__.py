"""``python -m experiments.paper [STEP ...]``: all steps, or those named, then the report."""

from __future__ import annotations

import sys

from experiments.paper.report import write_report
from experiments.paper.steps import STEPS
from nas.cli import guarded
from nas.errors import ZeronasError, did_you_mean

__all__ = ["main"]


def main() -> None:
    """Runs the steps named on the command line (all by default), and writes the report of what is there.

    Raises:
        ZeronasError: unknown step.
    """
    wanted = [argument for argument in sys.argv[1:] if argument != "report"]
    for step in wanted:
        if step not in STEPS:
            raise ZeronasError(f"Unknown step '{step}'.{did_you_mean(step, [*STEPS, 'report'])}")
    for step in wanted or ([] if "report" in sys.argv[1:] else STEPS):
        print(f"== {step}", flush=True)
        STEPS[step]()
    print(f"report: {write_report()}")


if __name__ == "__main__":
    sys.exit(guarded(main))
