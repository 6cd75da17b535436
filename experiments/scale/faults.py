"""``python -m experiments.scale.faults [inputs=10000] [kills=50]``: what bad inputs and kill -9 do.

The first part fires generated inputs of every kind (``experiments.scale.inputs``), the second kills runs and continues
them (``experiments.scale.kills``). What is done is kept under ``runs/scale-faults``, so the command goes on where it
stopped; results/faults.json has the counts of both. It ends with status 2 where anything was wrong.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from experiments.guard import guarded
from experiments.scale import kills
from experiments.scale.inputs import KINDS, SLOW, fired
from nas.core.errors import ZeronasError
from nas.core.files import versions, write_json
from nas.core.folders import made_folder
from nas.core.lines import LineFile, whole_lines

__all__ = ["main"]

#: inputs of a kind that are fired and kept together
PART = 50
RESULT = Path(__file__).parent / "results" / "faults.json"


def _inputs(folder: Path, wanted: int) -> dict[str, Any]:
    """Fires what was not fired yet and returns the counts by kind, with the faults themselves."""
    each = -(-wanted // len(KINDS))
    path = folder / "inputs.jsonl"
    done = {(row["kind"], row["part"]): row for row in map(json.loads, whole_lines(path, mend=True))}
    with LineFile(path) as file:
        for part in range(-(-each // PART)):
            for kind in KINDS:
                if (kind, part) in done:
                    continue
                numbers = range(part * PART, min(each, (part + 1) * PART))
                slowest, outcomes = 0.0, []
                for number in numbers:
                    begun = time.process_time()
                    outcomes.append(fired(kind, number))
                    slowest = max(slowest, time.process_time() - begun)
                counts, faults = Counter(one.what for one in outcomes), [one.why for one in outcomes if one.why]
                row = {"kind": kind, "part": part, "slowest": round(slowest, 3), "counts": counts, "faults": faults}
                if len(numbers) == PART:  # a part that is cut short is fired again when more are wanted
                    file.add(row)
                done[kind, part] = row
                print(f"{kind} to {numbers.stop}: {dict(counts)}", *faults[:5], sep="\n  ", file=sys.stderr)
    found: dict[str, Any] = {}
    for kind in KINDS:
        rows = [row for (of, _), row in done.items() if of == kind]
        counts = Counter[str]()
        for row in rows:
            counts.update(row["counts"])
        named = {what: counts[what] for what in ("taken", "refused", "traceback", "hang", "lost")}
        found[kind] = {
            "inputs": sum(named.values()),
            **named,
            "slowest_seconds": max(row["slowest"] for row in rows),
            "faults": [fault for row in rows for fault in row["faults"]],
        }
    return found


def _kills(folder: Path, wanted: int) -> dict[str, Any]:
    path = folder / "kills.jsonl"
    done = {(row["kind"], row["number"]): row for row in map(json.loads, whole_lines(path, mend=True))}
    kinds = list(kills.RUNS)
    with LineFile(path) as file:
        for number in range(wanted):
            kind = kinds[number % len(kinds)]
            if (kind, number) in done:
                continue
            row = done[kind, number] = kills.killed(kind, number, folder)
            file.add(row)
            state = "the same" if row["same"] else f"DIFFERENT {row['why']}"
            print(f"{kind} killed at line {row['lines']} of {row['of']}: {state}", file=sys.stderr)
    found = {}
    for kind in kinds:
        rows = [row for (of, _), row in done.items() if of == kind]
        found[kind] = {
            "runs": len(rows),
            "killed": sum(row["killed"] for row in rows),
            "same": sum(row["same"] for row in rows),
            "computed_twice": sum(max(0, row["twice"]) for row in rows),
            "killed_at": [f"{row['lines']} of {row['of']}" for row in rows],
        }
    return found


def _asked() -> dict[str, int]:
    asked = {"inputs": 10_000, "kills": 50}
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        if name not in asked or not value.isdigit() or len(value) > 9:
            raise ZeronasError(f"inputs=N and kills=N are accepted, N a whole number, but got {argument!r}.")
        asked[name] = int(value)
    return asked


def main() -> int:
    """Does what is left of both parts, writes results/faults.json, and returns 2 where a fault was found."""
    if sys.argv[1:2] == ["train"]:  # a run of the second part
        kills.train(Path(sys.argv[2]))
        return 0
    asked = _asked()
    folder = made_folder(Path("runs") / "scale-faults")
    found: dict[str, Any] = {"hang_seconds": SLOW}
    if asked["inputs"]:
        found["inputs"] = _inputs(folder, asked["inputs"])
    if asked["kills"]:
        found["kills"] = _kills(folder, asked["kills"])
    before = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    found = {**{key: before[key] for key in ("inputs", "kills") if key in before}, **found, "versions": versions()}
    write_json(RESULT, found)
    for kind, row in {**found.get("inputs", {}), **found.get("kills", {})}.items():
        print(
            f"{kind}: {', '.join(f'{value} {name}' for name, value in row.items() if isinstance(value, (int, float)))}"
        )
    wrong = any(row["traceback"] or row["hang"] or row["lost"] for row in found.get("inputs", {}).values())
    return 2 if wrong or any(row["same"] < row["runs"] for row in found.get("kills", {}).values()) else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
