"""Nightjar against the CTR tools that its users run today: rows trained per second, on one thread each.

Every tool trains the same model on the same rows, as fast as its documented settings allow, through its own public
entry: see the runners in `peers/`. Tool and Nightjar run in turns, so that other load on the machine meets both.

    python tests/benchmarks/peers.py                       # half an hour, and some minutes for the environments
    python tests/benchmarks/peers.py --only deepfm-1e6     # some of the lines
    python tests/benchmarks/peers.py --only whole          # from Parquet files to a saved model (whole.py)
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import whole
from rich.console import Console
from rich.table import Table
from whole import Lap, Log

from pipeline.bench.clicks import zipf_rows
from pipeline.bench.step import NUM_BATCHES
from pipeline.data.rows import Rows

ROOT = Path(__file__).resolve().parents[2]
RUNNERS = Path(__file__).resolve().with_name("peers")
CONSTRAINTS = ROOT / "infra" / "constraints.txt"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # without it pip may fetch gigabytes of CUDA packages

NUM_FIELDS, DIMENSION, HIDDEN, BATCH_SIZE = 39, 16, [400, 400, 400], 4096
WARM_UP_STEPS = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

Laps = dict[str, list[Lap]]
"""Of each entrant, Nightjar in its own process first."""

console = Console()


@dataclass(frozen=True)
class Peer:
    """A tool, whose runner is `run_<key>.py` and whose requirements are `<key>.txt`."""

    key: str
    title: str
    package: str


@dataclass(frozen=True)
class Line:
    """One comparison; the peer takes 2 to 30 seconds for its `num_steps`."""

    model: str
    num_ids: int
    peer: Peer
    num_steps: int
    options: str = ""
    """Of `nightjar bench step`, where its defaults are not what is compared."""
    peer_optimizer: str = ""
    """The peer's own name of one, where its fastest is not what is compared."""
    peer_autocast: bool = False
    """The peer's layers multiply in bfloat16, under torch's autocast around its `fit`."""

    @property
    def hidden(self) -> list[int]:
        return [] if self.model == "fm" else HIDDEN

    @property
    def name(self) -> str:
        """As --only takes it: `deepfm-1e6-fuxictr`."""
        options = self.options.replace(" ", "-") + ("-" + self.peer_optimizer if self.peer_optimizer else "")
        options += "-bf16" * self.peer_autocast
        return f"{self.model}-1e{round(np.log10(self.num_ids))}-{self.peer.key}{options}"

    @property
    def title(self) -> str:
        model = f"DeepFM {'x'.join(map(str, self.hidden))}" if self.hidden else "FM"
        options = f" (Nightjar with {self.options})" if self.options else ""
        optimizer = f' with "{self.peer_optimizer}"' if self.peer_optimizer else ""
        autocast = " in bfloat16" * self.peer_autocast
        return f"{model}, {self.num_ids:,} ids, {self.peer.title}{optimizer}{autocast}{options}"


@dataclass(frozen=True)
class Result:
    """Rows per second of each repeat."""

    line: Line
    nightjar: list[float]
    peer: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.nightjar) / statistics.median(self.peer)


FUXICTR = Peer("fuxictr", "FuxiCTR", "fuxictr")
DEEPCTR_TORCH = Peer("deepctr_torch", "DeepCTR-Torch", "deepctr-torch")
FBGEMM = Peer("fbgemm", "FBGEMM", "fbgemm-gpu-cpu")

WHOLE_RUNNERS = (FUXICTR, DEEPCTR_TORCH)  # those that go from files to a saved model, by `whole_<key>.py`
LINES = (
    Line("deepfm", 1_000_000, FUXICTR, 60),
    Line("deepfm", 1_000_000, FUXICTR, 60, peer_autocast=True),
    Line("deepfm", 1_000_000, FUXICTR, 60, "--precision float32"),
    Line("deepfm", 1_000_000, DEEPCTR_TORCH, 60),
    Line("deepfm", 1_000_000, DEEPCTR_TORCH, 60, peer_autocast=True),
    Line("deepfm", 1_000_000, DEEPCTR_TORCH, 60, peer_optimizer="adam"),
    Line("deepfm", 10_000_000, FUXICTR, 12),
    Line("deepfm", 10_000_000, DEEPCTR_TORCH, 12),
    Line("deepfm", 10_000_000, DEEPCTR_TORCH, 12, peer_optimizer="adam"),
    Line("fm", 1_000_000, FUXICTR, 100),
    Line("fm", 100_000, FBGEMM, 400),
    Line("fm", 1_000_000, FBGEMM, 400),
    Line("fm", 1_000_000, FBGEMM, 400, "--no-fused"),
    Line("fm", 10_000_000, FBGEMM, 400),
)


def main(
    only: Annotated[str, typer.Option(help="Run the lines whose name begins so, and write no file.")] = "",
    repeats: Annotated[int, typer.Option(help="Runs of each tool, in turns.", min=1)] = 3,
    seconds: Annotated[float, typer.Option(help="Time of Nightjar's steps in a run.")] = 10.0,
    environments: Annotated[Path, typer.Option(help="Where the peers are installed.")] = Path(
        "~/.cache/nightjar-peers"
    ),
    markdown: Annotated[Path, typer.Option(help="What a run of all lines writes.")] = RUNNERS / "results.md",
) -> None:
    """Train the same models on the same rows with Nightjar and with its peers, in turns, one thread each."""
    lines = [line for line in LINES if line.name.startswith(only)]
    logs = [log for log in whole.LOGS if log.key.startswith(only)]
    if not lines and not logs:
        names = ", ".join([*(line.name for line in LINES), *(log.key for log in whole.LOGS)])
        raise typer.BadParameter(f"no line begins with {only!r}; there are {names}")
    needed = dict.fromkeys([*(line.peer for line in lines), *(WHOLE_RUNNERS if logs else [])])
    pythons = {peer: install(peer, environments.expanduser()) for peer in needed}
    conditions = describe(pythons)
    results = [compare(line, pythons[line.peer], repeats, seconds) for line in lines]
    races = [race(log, pythons, repeats) for log in logs]

    if results:
        table = Table("", "Nightjar rows/s", "peer rows/s", "ratio", title=conditions, title_justify="left")
        for result in results:
            table.add_row(*cells(result))
        console.print(table)
    for log, laps in races:
        table = Table("", "seconds", "of Nightjar's", "peak memory, GB", "AUC", title=f"{log.title}; {conditions}")
        for row in race_cells(laps):
            table.add_row(*row)
        console.print(table)
    if not only:
        markdown.write_text(to_markdown(results, races, conditions, repeats))
        console.print(f"written to {markdown}")


def race(log: Log, pythons: dict[Peer, Path], repeats: int) -> tuple[Log, Laps]:
    """All entrants one after the other, as often as asked for, each in a fresh process and an empty work folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = whole.prepare(log, folder)
        entrants = whole.nightjars(config, log)
        for one in WHOLE_RUNNERS:
            for autocast in (False, True)[: 1 + log.in_both_precisions]:
                runner = f"whole_{one.key}.py"
                entrants.append(whole.peer(one.title, pythons[one], runner, log, folder, autocast))
        laps: Laps = {entrant.title: [] for entrant in entrants}
        for _ in range(repeats):
            for entrant in entrants:
                lap = whole.run(entrant, folder, ONE_THREAD)
                laps[entrant.title].append(lap)
                console.print(f"{log.key:12} {entrant.title:24} {lap.seconds:7.1f} s  {lap.peak_bytes / 1e9:5.2f} GB")
    return log, laps


def race_cells(laps: Laps) -> list[list[str]]:
    medians = {title: statistics.median(lap.seconds for lap in of_one) for title, of_one in laps.items()}
    own = next(iter(medians.values()))
    return [
        [
            title,
            f"{medians[title]:.1f}",
            f"{medians[title] / own:.2f}",
            f"{max(lap.peak_bytes for lap in of_one) / 1e9:.2f}",
            f"{of_one[-1].auc:.4f}",
        ]
        for title, of_one in laps.items()
    ]


def install(peer: Peer, environments: Path) -> Path:
    """The python of the peer's environment, which is made anew when what it should hold has changed."""
    folder = environments / peer.key
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    requirements = RUNNERS / f"{peer.key}.txt"
    wanted = requirements.read_text() + CONSTRAINTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        console.print(f"installing {peer.title} in {folder}")
        output_of([sys.executable, "-m", "venv", "--clear", folder])
        pip = [str(python), "-m", "pip", "install", "--quiet", "--retries", "1", "--constraint", str(CONSTRAINTS)]
        output_of([*pip, "--extra-index-url", TORCH_INDEX, "--no-deps", "torch"])
        output_of([*pip, "--requirement", requirements])
        installed.write_text(wanted)
    return python


def compare(line: Line, python: Path, repeats: int, seconds: float) -> Result:
    result = Result(line, [], [])
    with tempfile.TemporaryDirectory() as folder:
        rows_path = write_rows(line, Path(folder))
        for _ in range(repeats):
            result.nightjar.append(nightjar_rows_per_second(line, seconds))
            result.peer.append(peer_rows_per_second(line, python, rows_path))
            console.print(f"{line.name:38} Nightjar {result.nightjar[-1]:9,.0f}   peer {result.peer[-1]:9,.0f}")
    return result


def write_rows(line: Line, folder: Path) -> Path:
    """What `task.py` reads: the batches of `nightjar bench step` again and again, for the warm-up and all steps."""
    batches = [zipf_rows(BATCH_SIZE, NUM_FIELDS, line.num_ids, seed) for seed in range(NUM_BATCHES)]
    rows, num_rows = Rows.concatenate(batches), (WARM_UP_STEPS + line.num_steps) * BATCH_SIZE
    path = folder / "rows.npz"
    ids_RF = np.resize(rows.ids, (num_rows, NUM_FIELDS))
    np.savez(path, ids_RF=ids_RF, clicks_R=np.resize(rows.labels, num_rows).astype(np.int32))
    return path


def nightjar_rows_per_second(line: Line, seconds: float) -> float:
    shape = {
        "--model": line.model,
        "--fields": NUM_FIELDS,
        "--vocab": line.num_ids,
        "--batch-size": BATCH_SIZE,
        "--dimension": DIMENSION,
        "--hidden": ",".join(map(str, HIDDEN)),
        "--seconds": seconds,
    }
    options = [*(str(part) for option in shape.items() for part in option), *line.options.split()]
    measured = answer_of([sys.executable, "-m", "jobs", "bench", "step", *options, "--json"])
    # All steps count, as they do for the peers; the command's own rows_per_second is that of the median step.
    return BATCH_SIZE / float(measured["step_seconds_mean"])


def peer_rows_per_second(line: Line, python: Path, rows_path: Path) -> float:
    task = {
        "rows_path": str(rows_path),
        "num_ids": line.num_ids,
        "batch_size": BATCH_SIZE,
        "dimension": DIMENSION,
        "hidden": line.hidden,
        "warm_up_steps": WARM_UP_STEPS,
        "optimizer": line.peer_optimizer,
        "autocast": line.peer_autocast,
    }
    return float(answer_of([python, RUNNERS / f"run_{line.peer.key}.py", json.dumps(task)])["rows_per_second"])


def answer_of(command: Sequence[str | Path]) -> dict[str, Any]:
    """The JSON object in the last line that the command prints."""
    return dict(json.loads(output_of(command).splitlines()[-1]))


def output_of(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    if done.returncode:
        last_lines = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{' '.join(map(str, command))} exited {done.returncode}:\n{last_lines}")
    return done.stdout


def describe(pythons: dict[Peer, Path]) -> str:
    """Date, processor, load and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    processor = model.group(1) if model else platform.processor()
    versions = [f"torch {version_of('torch', Path(sys.executable))}"]
    for peer, python in pythons.items():
        assert version_of("torch", python) == version_of("torch", Path(sys.executable)), "constraints pin one torch"
        versions.append(f"{peer.title} {version_of(peer.package, python)}")
    return (
        f"{date.today()}, {processor}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before the start, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def version_of(package: str, python: Path) -> str:
    code = "import sys, importlib.metadata; print(importlib.metadata.version(sys.argv[1]))"
    return output_of([python, "-c", code, package]).strip()


def cells(result: Result) -> list[str]:
    medians = [f"{statistics.median(rates):,.0f}" for rates in (result.nightjar, result.peer)]
    return [result.line.title, *medians, f"{result.ratio:.1f}"]


def to_markdown(results: list[Result], races: list[tuple[Log, Laps]], conditions: str, repeats: int) -> str:
    table = markdown_table([["what", "Nightjar rows/s", "peer rows/s", "ratio"], *map(cells, results)])
    header = ["", "seconds", "of Nightjar's", "peak memory, GB", "AUC"]
    wholes = "\n".join(f"{log.title}:\n\n{markdown_table([header, *race_cells(laps)])}\n" for log, laps in races)
    return f"""\
{table}

From the same Parquet files to a saved model, by the clock; one thread of torch, two cores.

{wholes}

{NUM_FIELDS} fields, K = {DIMENSION}, batches of {BATCH_SIZE:,} rows in memory, one thread.
Medians of {repeats} runs of each, in turns. By default Nightjar's layers multiply in
bfloat16 where the processor does, and the peers' in float32; an FM has none.
{conditions}.

{(RUNNERS / "limits.md").read_text()}"""


def markdown_table(rows: list[list[str]]) -> str:
    aligned = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in aligned)


if __name__ == "__main__":
    typer.run(main)
