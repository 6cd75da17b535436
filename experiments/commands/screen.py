"""``zeronas screen``: scores very many draws of a space and keeps the best."""

from __future__ import annotations

import sys
import time
from typing import Any

from experiments.commands.app import command, prepared
from experiments.guard import guarded
from nas.core.progress import Progress
from nas.engine.screen import Screen, screened
from nas.report.screen import lines, report
from nas.settings import ScreenSettings, make

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Runs one screening and returns what its results.json holds.

    Raises:
        ZeronasError: any setting is wrong, or the run folder cannot be used.
    """
    settings = make(config, ScreenSettings)
    given, folder, begun = settings.given, settings.folder, time.monotonic()
    scorer = settings.scorer()
    progress = Progress(given.budget, "draws")
    with Screen(folder, settings.identity, given.budget, list(scorer.proxies), given.fresh) as screen, progress:
        progress.took_up([None if value != value else value for value in _known(screen)])
        scored = 0
        for chunk in screened(scorer, screen.missing, settings.executor):
            screen.add(chunk)
            scored += len(chunk.numbers)
            for value in chunk.scores[:, 0].tolist():
                progress.step(None if value != value else value, True)
        wall = progress.finish()
        results = report(folder, settings, screen, scored, time.monotonic() - begun)
    print("\n".join(lines(results)) + prepared(scorer))
    rate = f"; {wall / scored * 1e3:.2f} ms each" if scored else ""
    print(
        f"scored {scored:,} draws in {wall:.1f} s{rate}; folder: {folder} (summary.md, table.csv, results.json, plot)"
    )
    return results


def _known(screen: Screen) -> list[float]:
    missing = {number for chunk in screen.missing for number in chunk}
    return [value for at, value in enumerate(screen.scores[:, 0].tolist()) if at not in missing]


main = command(run, "screen")


if __name__ == "__main__":
    sys.exit(guarded(main))
