"""How time and memory of a whole run grow with rows and with ids: `nightjar bench run` at several sizes of each.

    python tests/benchmarks/growth.py --rows 200000 2000000 --vocab 20000 200000 2000000 --out growth
    python tests/benchmarks/growth.py --rows 20000000 --vocab 200000 --out growth

Rows are varied at 200,000 ids, ids at 2 M rows. Each report is kept in the folder of --out, is not measured again, and
comes into the table with those before. An exponent is the slope of log seconds over log size: 1 grows as rows do.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

NIGHTJAR = (sys.executable, "-m", "jobs", "bench", "run")
MODEL = ("--model", "deepfm", "--hidden", "300,100", "--fields", "13", "--days", "10")
MIDDLE_ROWS, MIDDLE_IDS = 2_000_000, 200_000
BAR = 1.02  # of the exponent over rows, from MIDDLE_ROWS on
SHOWN = 0.01  # of the whole: shorter phases are not in the table

Report = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[200_000, MIDDLE_ROWS], help=f"at {MIDDLE_IDS:,} ids")
    parser.add_argument("--vocab", type=int, nargs="*", default=[20_000, 2_000_000], help=f"at {MIDDLE_ROWS:,} rows")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("growth"), help="folder of the reports")
    parser.add_argument("--keep", type=Path, help="folder for logs and work, which are removed elsewhere")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = [(rows, MIDDLE_IDS) for rows in arguments.rows] + [(MIDDLE_ROWS, ids) for ids in arguments.vocab]
    for rows, ids in dict.fromkeys(wanted):
        path = arguments.out / f"rows-{rows}-ids-{ids}-workers-{arguments.workers}.json"
        if not path.exists():
            sizes = ["--rows", str(rows), "--vocab", str(ids), "--workers", str(arguments.workers)]
            kept = ["--keep", str(arguments.keep / path.stem)] if arguments.keep else []
            done = subprocess.run([*NIGHTJAR, *MODEL, *sizes, *kept, "--json"], stdout=subprocess.PIPE, check=True)
            path.write_bytes(done.stdout.splitlines()[-1])
    found = [json.loads(path.read_text()) for path in arguments.out.glob(f"*-workers-{arguments.workers}.json")]
    print("\n".join(tables(found)))


def tables(found: Sequence[Report]) -> Iterator[str]:
    """In Markdown: over rows, then over ids."""
    over_rows = sorted((one for one in found if one["shape"]["num_ids"] == MIDDLE_IDS), key=lambda one: one["rows"])
    over_ids = sorted((one for one in found if one["rows"] == MIDDLE_ROWS), key=lambda one: one["shape"]["num_ids"])
    yield from table("rows", over_rows, [one["rows"] for one in over_rows])
    for one in over_rows[1:]:
        if one["rows"] > MIDDLE_ROWS:
            [middle] = [other for other in over_rows if other["rows"] == MIDDLE_ROWS]
            slope = exponent([one["rows"] / middle["rows"]], [one["seconds"] / middle["seconds"]])
            verdict = "at most" if slope <= BAR else "above"
            yield f"\n{MIDDLE_ROWS:,} to {one['rows']:,} rows: exponent {slope:.3f}, {verdict} {BAR}"
    yield ""
    yield from table("ids", over_ids, [one["shape"]["num_ids"] for one in over_ids])


def table(what: str, found: Sequence[Report], sizes: Sequence[int]) -> Iterator[str]:
    """A line a phase: seconds at each size and their exponent; memory below."""
    yield f"| phase | {' | '.join(f'{size:,} {what}' for size in sizes)} | exponent |"
    yield f"|---|{'---:|' * (len(sizes) + 1)}"
    seconds = [seconds_of(one) for one in found]
    for name in dict.fromkeys(name for one in seconds for name in one):
        its = [one.get(name, 0.0) for one in seconds]
        if any(value >= SHOWN * one["seconds"] for value, one in zip(its, found, strict=True)):
            yield line(name, its, sizes, "{:.1f} s")
    yield line("**together**", [one["seconds"] for one in found], sizes, "{:.1f} s")
    yield line("memory of all processes", [one["peak_memory_bytes"] / 1e6 for one in found], sizes, "{:,.0f} MB")


def seconds_of(one: Report) -> dict[str, float]:
    """By phase, those of a part behind its whole's name."""
    found: dict[str, float] = {}
    above: list[str] = []
    for phase in one["phases"]:
        above[phase["depth"] :] = [phase["name"]]
        found[": ".join(above)] = found.get(": ".join(above), 0.0) + phase["seconds"]
    return found


def line(name: str, values: Sequence[float], sizes: Sequence[int], form: str) -> str:
    cells = " | ".join(form.format(value) for value in values)
    grown = [(size, value) for size, value in zip(sizes, values, strict=True) if value > 0]
    slope = f"{exponent(*zip(*grown, strict=True)):.2f}" if len(grown) > 1 else ""
    return f"| {name} | {cells} | {slope} |"


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of the power law that fits best, by least squares of the logarithms; through one point, from (1, 1)."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    if len(x) == 1:
        return y[0] / x[0]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    over = sum((one - mean_x) * (other - mean_y) for one, other in zip(x, y, strict=True))
    return over / sum((one - mean_x) ** 2 for one in x)


if __name__ == "__main__":
    main()
