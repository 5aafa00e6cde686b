"""Where does pretraining by FM pay? FNN and DeepFM from FM, over transfer choices, against controls of as many rows.

    python tests/benchmarks/two_stage.py --out study --rows 200000 2000000 --seeds 2 3 4

Writes `study/results.json`, one entry a stage trained; what is there already is not trained again. `--report` writes
tests/benchmarks/two_stage.md and its plots from it. Nets and controls were tuned alike, on seed 1, which is none of the
study's. Two processes of one thread each; 2 M rows take about five minutes a seed.
"""

import argparse
import multiprocessing
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from pipeline import cluster
from pipeline.data.store import Store
from pipeline.data.synthetic import generate
from pipeline.evaluation.bootstrap import Interval
from pipeline.inputs import best_possible_ne, encoded_store, find_inputs
from pipeline.training import checkpoint, local, published, stages
from pipeline.training.course import Rank
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.stage import StageConfig

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_suffix(".md")
IMAGES = ROOT / "infra" / "images"
SYNTHETIC, BANK = ROOT / "jobs/configs/study.yaml", ROOT / "jobs/configs/bank_marketing.yaml"
BANK_LOG = ROOT.parent / "shared/data/bank_marketing"
CONTROL, CONFIGURED = "nothing: the control", "v alone, new accumulators"
ALL: dict[str, Any] = {"w": True, "w0": True}
TRANSFERS: dict[str, dict[str, Any]] = {
    "accumulators kept": {"transfer": {**ALL, "accumulators": 1.0}},
    "a tenth of accumulators": {"transfer": {**ALL, "accumulators": 0.1}},
    "new accumulators": {"transfer": ALL},
    "new accumulators, rows times 0.1": {"transfer": {**ALL, "scale": 0.1}},
    "new accumulators, fresh deviation": {"transfer": {**ALL, "scale": "fresh"}},
    CONFIGURED: {},
    f"{CONFIGURED}, layers from RBMs": {"mlp": {"rbm": {}}},
    f"{CONFIGURED}, layer rates halved downwards": {"optimizer": {"layer_decay": 0.5}},
    f"{CONFIGURED}, rows frozen for 200 steps": {"rows": {"frozen_steps": 200}},
    f"{CONFIGURED}, 0.4 of its pass": {"epochs": 0.4},
}
# Learning rate and L2 of the rows, dense learning rate: each the best of as many for nets and for controls, on a log of
# the size with seed 1. Rows that are seen twice want more L2.
TUNED = {
    200_000: {
        "fnn": (0.3, 2e-5, 0.004),
        "fnn after a short FM": (0.3, 1e-4, 0.004),
        "fnn control": (0.3, 1e-4, 0.004),
        "deepfm": (0.05, 1e-3, 0.008),
        "deepfm after a short FM": (0.1, 3e-4, 0.004),
        "deepfm control": (0.1, 3e-4, 0.004),
    },
    2_000_000: {
        "fnn": (0.2, 2e-5, 0.004),
        "fnn after a short FM": (0.2, 2e-3, 0.002),
        "fnn control": (0.2, 2e-3, 0.004),
        "deepfm": (0.05, 1e-3, 0.004),
        "deepfm after a short FM": (0.2, 2e-3, 0.002),
        "deepfm control": (0.2, 2e-3, 0.004),
    },
}
HEAD = """# Where pretraining by FM pays

FNN and DeepFM, each from the rows of one FM, against their controls: the same nets from random rows, on as many rows
in all. FM's pass counts, so that a control sees every row twice and its net once. On a log of seed 1 of each size,
which is not among these, nets and controls had the same number of trials for their learning rates (of the rows and of
the layers) and the rows' L2: some thirty each at 0.2 M rows, some fifteen at 2 M. Change of log loss: below 0
pretraining helped.

- **At 2 M rows, many ids with few rows each, it pays**: FNN and DeepFM are ahead of controls that were tuned as long,
  and come to a control's last NE at 75% to 90% of its rows.
- **At 0.2 M rows it does not, for FNN**: a control that sees the rows twice, at a high learning rate of its layers, is
  2.5% ahead. DeepFM is ahead by less than it varies from log to log. On the demo's log, with few ids, it hurts both.
- **How the rows are taken over decides it.** Kept Adagrad accumulators hold still what FM has seen often: that costs 1%
  to 7%, most for FNN, and pretraining then hurts FNN everywhere. A smaller scale makes little difference. Taking w and
  w0 over too, as FNN's authors do, gains nothing.
- **Layers pretrained as RBMs hurt**: log loss is 6% to 7% higher than without for FNN, 2% for DeepFM. At 0.2 M rows,
  rates halved from layer to layer cost 1%, rows frozen for the first 200 steps 5%.
- On the Bank Marketing log, three random splits, it makes no difference: FNN 0.8500, its control 0.8503.
- Ten M rows of seven days, seed 2, one pass each: DeepFM's NE is 0.785, FNN's 0.787, the truth's 0.758.
- On seed 1 of 0.2 M rows, a quarter of FM's pass and 1.75 of the net's came to a control's level: FNN 0.8670 against
  0.8659, DeepFM 0.8635 against 0.8721. At 2 M rows that was no gain (FNN 0.8364; one pass each: 0.8239).

Made by

    python tests/benchmarks/two_stage.py --out study --rows 200000 --transfers 0 5 6 7 8
    python tests/benchmarks/two_stage.py --out study --rows 2000000 --transfers 5 0 6 --seeds 2
    python tests/benchmarks/two_stage.py --out study --report

and the last table, of the choices of transfer, with `--transfers 0 1 2 3 4 5`, all dense learning rates 0.002, rows at
0.1 with L2 of 1e-4 for nets and 0.2 with 2e-3 for controls, by `--set stages.fnn.rows=...` and so on.
"""


@dataclass(frozen=True, slots=True)
class World:
    """A log to train on: `name` and `seed` say which."""

    name: str
    seed: int
    config: TrainConfig
    store: Store
    best_possible_ne: float | None

    @property
    def run_uri(self) -> str:
        return f"{self.config.work_uri}/runs"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stage that was trained, and how it compares with its control, where it has one."""

    world: str
    seed: int
    model: str
    transfer: str
    results: dict[str, float]
    curve: list[list[float]]
    best_possible_ne: float | None
    control_log_loss: float = 1.0
    change: Interval | None = None
    """Log loss minus the control's, with its bootstrap interval."""
    rows_ratio: float | None = None
    """Rows seen in all when it was as good as the control at its end, over the control's."""


ENTRIES = TypeAdapter(list[Entry])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="*", default=[])
    parser.add_argument("--days", type=int, default=2, help="the last one is held out")
    parser.add_argument("--fm-epochs", type=float, default=1.0, help="of the two that both sides have in all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--bank", action="store_true")
    parser.add_argument("--transfers", type=int, nargs="*", help="numbers of TRANSFERS; none: only the config's")
    parser.add_argument(
        "--set", action="append", default=[], help="overrides of what was tuned, as a config takes them"
    )
    parser.add_argument("--called", default="", help="what such a study is called")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--report", action="store_true")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    saved = told.out / "results.json"
    entries: list[Entry] = ENTRIES.validate_json(saved.read_bytes()) if saved.exists() else []
    for name, seed, config in worlds(told):
        if not any((entry.world, entry.seed) == (name, seed) for entry in entries):
            entries += study(prepare(name, seed, config), told.transfers or [], told.processes)
            saved.write_bytes(ENTRIES.dump_json(entries, indent=1))
            print(*table(name, [entry for entry in entries if entry.world == name]), sep="\n", flush=True)
    if told.report:
        report(entries)


def worlds(told: argparse.Namespace) -> Iterator[tuple[str, int, TrainConfig]]:
    """Name, seed and config of each log that was asked for."""
    folder = told.out.absolute()
    for size, seed in product(told.rows, told.seeds):
        logs, work = (f"{folder}/{kind}-{size}-{told.days}-{seed}" for kind in ("logs", "work"))
        generate(logs, days=told.days, rows_per_day=size // (told.days - 1), seed=seed)
        sets = [f"data.logs_uri={logs}", f"work_uri={work}-{told.fm_epochs}", f"seed={seed}"]
        name = f"synthetic, {size / 1e6:g} M rows of {told.days - 1} day{'s' * (told.days > 2)}"
        name += f", FM for {told.fm_epochs:g} of two epochs" * (told.fm_epochs != 1)
        name += f", {told.called}" * bool(told.called)
        sets += [f"stages.fm.epochs={told.fm_epochs}", *settings(size, told.fm_epochs), *told.set]
        yield name, seed, load(TrainConfig, SYNTHETIC, sets)
    for seed in told.seeds if told.bank else ():
        sets = [f"data.logs_uri={BANK_LOG}", f"work_uri={folder}/work-bank-{seed}", f"data.split.seed={seed}"]
        yield "bank, at random", seed, load(TrainConfig, BANK, sets)


def prepare(name: str, seed: int, config: TrainConfig) -> World:
    """Encode the log, on a Ray of this machine."""
    inputs = find_inputs(config, lambda event: None)
    with cluster.connected(config.cluster):
        store = encoded_store(config, inputs, lambda event: None)
    return World(name, seed, config, store, best_possible_ne(config, inputs))


def settings(size: int, fm_epochs: float) -> Iterator[str]:
    """Overrides of what was tuned for a log of the size: rows' learning rate, their L2, the dense learning rate."""
    of_size = TUNED[size if size in TUNED else max(TUNED)]
    for net in ("fnn", "deepfm"):
        own = of_size[net if fm_epochs == 1 else f"{net} after a short FM"]
        yield f"stages.{net}.epochs={2 - fm_epochs}"
        for section, values in sections(*own).items():
            yield f"stages.{net}.{section}={values}"
        yield f"stages.{net}.control={sections(*of_size[f'{net} control'])}"


def sections(rows_rate: float, l2: float, dense_rate: float) -> dict[str, dict[str, Any]]:
    """Of a stage's config; a dict's text is YAML too."""
    rows = {"learning_rate": rows_rate, "l2": l2}
    return {"rows": rows, "optimizer": {"name": "adam", "learning_rate": dense_rate}}


def study(world: World, transfers: Sequence[int], processes: int) -> Iterator[Entry]:
    """FM and the controls once, then each net from the same FM by each transfer."""
    of_name = {stage.name: stage for stage in world.config.plan}
    first = [stage for stage in of_name.values() if stage.init_from is None]
    nets = [stage for stage in of_name.values() if stage.init_from is not None]
    changed = [(CONFIGURED, net, net) for net in nets]
    if transfers:
        changed = [(list(TRANSFERS)[i], net, changed_as(net, i)) for net in nets for i in transfers]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(train, [world] * len(first), first))
        list(pool.map(train, [world] * len(changed), [stage for *_, stage in changed]))
    for stage in first:
        yield entry_of(world, stage, CONTROL if stage.control_of else "")
    for transfer, net, stage in changed:
        yield entry_of(world, stage, transfer, of_name[f"{net.name}-control"])


def changed_as(net: StageConfig, number: int) -> StageConfig:
    """The stage with the changes of that transfer, section by section."""
    tree = {**net.model_dump(), "name": f"{net.name}-{number}"}
    for section, changed in list(TRANSFERS.values())[number].items():
        tree[section] = {**tree[section], **changed} if isinstance(changed, dict) else changed
    return StageConfig.model_validate(tree)


def train(world: World, stage: StageConfig) -> None:
    torch.set_num_threads(1)
    if not checkpoint.is_published(stages.stage_uri(world.run_uri, stage.name)):
        local.run_stage(Rank(world.config, world.store, world.run_uri), stage, lambda *point: None)


def entry_of(world: World, stage: StageConfig, transfer: str, control: StageConfig | None = None) -> Entry:
    own = published.progress(world.run_uri, stage.name)
    plain = Entry(world.name, world.seed, stage.model, transfer, own.results, own.curve, world.best_possible_ne)
    if control is None:
        return plain
    its = published.progress(world.run_uri, control.name)
    of_stage = control.model_copy(update={"control_of": stage.name})
    pair = (*(one for one in world.config.stages if one.init_from is None), stage, of_stage)
    num_fields = len(world.config.data.features.fields)
    lift = published.lifts(world.run_uri, pair, world.store, num_fields, world.seed)[stage.name]
    change, ratio = lift.comparison.log_loss, lift.rows_ratio
    return replace(plain, control_log_loss=its.results["log_loss"], change=change, rows_ratio=ratio)


def report(entries: list[Entry]) -> None:
    """The page: a table a log, means over its seeds with their deviation, and the plots."""
    text = [HEAD]
    for world in dict.fromkeys(entry.world for entry in entries):
        text += table(world, [entry for entry in entries if entry.world == world])
        name = f"two-stage-{re.sub('[^a-z0-9]+', '-', world.lower())}.png"
        plot([entry for entry in entries if entry.world == world]).savefig(IMAGES / name, dpi=110)
        text += ["", f"![NE against rows seen: {world}](../../infra/images/{name})", ""]
    PAGE.write_text("\n".join(text) + "\n", encoding="utf-8")


def table(world: str, entries: list[Entry]) -> list[str]:
    of_kind: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        of_kind[entry.model, entry.transfer].append(entry)
    best = {entry.seed: entry.best_possible_ne for entry in entries if entry.best_possible_ne}
    lines = ["", f"## {world[0].upper()}{world[1:]}", ""]
    lines += [f"Best possible NE: {spread(list(best.values()), '.4f')}.", ""] if best else []
    lines += [
        f"Seeds {', '.join(map(str, sorted({entry.seed for entry in entries})))}; mean ± standard deviation.",
        "",
        "| model | takes over | NE | AUC | calibration | log loss against its control | control's NE at |",
        "|---|---|---|---|---|---|---|",
    ]
    for (model, transfer), same in of_kind.items():
        changes = [entry.change.estimate / entry.control_log_loss for entry in same if entry.change]
        ratios = [entry.rows_ratio for entry in same if entry.rows_ratio is not None]
        reached = f"{spread(ratios, '.0%')} of its rows" if ratios else "never"
        reached += f" ({len(ratios)} of {len(same)})" if 0 < len(ratios) < len(same) else ""
        figures = (spread([entry.results[key] for entry in same], ".4f") for key in ("ne", "auc"))
        calibration = spread([entry.results["calibration"] for entry in same], ".3f")
        against = f"{spread(changes, '+.2%')} | {reached}" if changes else "|"
        lines.append(f"| {model} | {transfer} | {' | '.join(figures)} | {calibration} | {against} |")
    return lines


def spread(values: list[float], form: str) -> str:
    deviation = f" ± {statistics.stdev(values):{form.replace('+', '')}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{form}}{deviation}"


def plot(entries: list[Entry]) -> Figure:
    """Held-out NE against rows seen, FM's included: of each net, its best transfer and its control."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, model, control in zip(figure.subplots(1, 2), ("fnn", "deepfm"), ("dnn", "deepfm"), strict=True):
        of_transfer = {name: [e for e in entries if e.model == model and e.transfer == name] for name in names(entries)}
        best = min(of_transfer, key=lambda name: statistics.fmean(e.results["ne"] for e in of_transfer[name]))
        controls = {e.seed: e for e in entries if e.model == control and e.transfer == CONTROL}
        for entry in of_transfer[best]:
            its = controls[entry.seed]
            before = its.results["rows_seen"] - entry.results["rows_seen"]
            label = (f"from FM, {best}", "control") if entry is of_transfer[best][0] else (None, None)
            axes.plot(
                [(x + before) / 1e6 for x, _ in entry.curve], [y for _, y in entry.curve], "#0072B2", label=label[0]
            )
            axes.plot([x / 1e6 for x, _ in its.curve], [y for _, y in its.curve], "#D55E00", label=label[1])
        axes.set(title=model, xlabel="rows seen, those by FM included (millions)", ylabel="held-out NE")
        axes.legend()
    return figure


def names(entries: list[Entry]) -> list[str]:
    """Of the transfers."""
    return [name for name in dict.fromkeys(entry.transfer for entry in entries) if name not in ("", CONTROL)]


if __name__ == "__main__":
    main()
