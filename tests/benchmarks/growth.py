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
MEMORY = ("count values", "encode rows", "fit", "register")  # phases that hold what grows
SHOWN = 0.02  # of the whole: shorter phases are not in the table

Report = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[200_000, MIDDLE_ROWS], help=f"at {MIDDLE_IDS:,} ids")
    parser.add_argument("--vocab", type=int, nargs="*", default=[20_000, 2_000_000], help=f"at {MIDDLE_ROWS:,} rows")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("growth"), help="folder of the reports")
    parser.add_argument("--keep", type=Path, help="folder for logs and work, which are removed elsewhere")
    parser.add_argument("--waterfall", type=Path, help="print a report of `bench run --json`, and no more")
    arguments = parser.parse_args()
    if arguments.waterfall:
        print("\n".join(waterfall(json.loads(arguments.waterfall.read_text()))))
        return
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


def waterfall(one: Report) -> Iterator[str]:
    """In Markdown: a line a phase, as they began."""
    yield "| phase | from | took | share | rows/s | memory |"
    yield "|---|---:|---:|---:|---:|---:|"
    for phase in one["phases"]:
        if phase["depth"] == 0 or phase["share"] >= SHOWN:
            name = "&emsp;" * phase["depth"] + phase["name"]
            rate = f"{phase['rows_per_second']:,.0f}" if phase["rows_per_second"] else ""
            held = f"{phase['peak_memory_bytes'] / 1e6:,.0f} MB" if phase["peak_memory_bytes"] else ""
            took = f"{phase['began']:.1f} s | {phase['seconds']:.1f} s | {phase['share']:.1%}"
            yield f"| {name} | {took} | {rate} | {held} |"
    yield f"| between them | | {one['between_seconds']:.1f} s | {one['between_seconds'] / one['seconds']:.1%} | | |"
    yield f"| **together** | | {one['seconds']:.1f} s | | | {one['peak_memory_bytes'] / 1e6:,.0f} MB |"


def tables(found: Sequence[Report]) -> Iterator[str]:
    """In Markdown: over rows, then over ids."""
    over_rows = sorted((one for one in found if one["shape"]["num_ids"] == MIDDLE_IDS), key=lambda one: one["rows"])
    over_ids = sorted((one for one in found if one["rows"] == MIDDLE_ROWS), key=lambda one: one["shape"]["num_ids"])
    yield from table("rows", over_rows, [one["rows"] for one in over_rows], fitted_from=MIDDLE_ROWS)
    many = [one for one in over_rows if one["rows"] >= MIDDLE_ROWS]
    if len(many) > 1:
        slope = exponent([one["rows"] for one in many], [one["seconds"] for one in many])
        yield f"\nFrom {MIDDLE_ROWS:,} rows on: exponent {slope:.3f}, {'at most' if slope <= BAR else 'above'} {BAR}.\n"
    yield from table("ids", over_ids, [one["shape"]["num_ids"] for one in over_ids], fitted_from=0)


def table(what: str, found: Sequence[Report], sizes: Sequence[int], fitted_from: int) -> Iterator[str]:
    """A line a phase: seconds at each size, and their exponent over those from the one given on; memory below."""
    if not found:
        return
    num_left_out = sum(size < fitted_from for size in sizes) if max(sizes) > fitted_from else 0
    of_which = f", from {sizes[num_left_out]:,}" if num_left_out else ""
    yield f"| phase | {' | '.join(f'{size:,} {what}' for size in sizes)} | exponent{of_which} |"
    yield f"|---|{'---:|' * (len(sizes) + 1)}"
    seconds = [seconds_of(one) for one in found]
    for name in dict.fromkeys(name for one in seconds for name in one):
        its = [one.get(name, 0.0) for one in seconds]
        if any(value >= SHOWN * one["seconds"] for value, one in zip(its, found, strict=True)):
            yield line(name, its, "{:.1f} s", sizes[num_left_out:])
    yield line("**together**", [one["seconds"] for one in found], "{:.1f} s", sizes[num_left_out:])
    peaks = [memory_of(one) for one in found]
    for name in (name for name in peaks[0] if all(name in one for one in peaks)):
        yield line(name, [one[name] for one in peaks], "{:,.0f} MB", sizes[num_left_out:])


def seconds_of(one: Report) -> dict[str, float]:
    """By phase, those of a part behind its whole's name."""
    found: dict[str, float] = {}
    above: list[str] = []
    for phase in one["phases"]:
        above[phase["depth"] :] = [phase["name"]]
        found[": ".join(above)] = found.get(": ".join(above), 0.0) + phase["seconds"]
    return found


def memory_of(one: Report) -> dict[str, float]:
    """Megabytes of all processes together, at most; of the phases that are no part of another one, and of all."""
    peaks = {phase["name"]: phase["peak_memory_bytes"] for phase in one["phases"] if phase["depth"] == 0}
    told = {f"memory: {name}": held for name, held in peaks.items() if name in MEMORY and held}
    return {name: held / 1e6 for name, held in {**told, "**memory**": one["peak_memory_bytes"]}.items()}


def line(name: str, values: Sequence[float], form: str, sizes: Sequence[int]) -> str:
    """`sizes` are those of the last values, over which the exponent is fitted."""
    cells = " | ".join(form.format(value) for value in values)
    grown = [(size, value) for size, value in zip(sizes, values[-len(sizes) :], strict=True) if value > 0]
    slope = f"{exponent(*zip(*grown, strict=True)):.2f}" if len(grown) > 1 else ""
    return f"| {name} | {cells} | {slope} |"


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of the power law that fits best, by least squares of the logarithms."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    over = sum((one - mean_x) * (other - mean_y) for one, other in zip(x, y, strict=True))
    return over / sum((one - mean_x) ** 2 for one in x)


if __name__ == "__main__":
    main()
