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
from math import inf
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from pipeline.data.store import Store
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.lift import reached_at
from pipeline.retrain.dataset import best_possible_ne, encoded_store, find_inputs
from pipeline.runtime import cluster
from pipeline.synthetic.log import generate
from pipeline.training import local, published, results
from pipeline.training.rank import Rank
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.stage import StageConfig

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_suffix(".md")
IMAGES = ROOT / "infra" / "images"
SYNTHETIC, BANK = ROOT / "jobs/configs/study.yaml", ROOT / "jobs/configs/bank_marketing.yaml"
BANK_LOG = ROOT.parent / "shared/data/bank_marketing"
CONTROL, ALONE = "nothing: the control", "nothing: one pass alone"
AS_IS, CONFIGURED = "what its config says", "v alone, new accumulators"
COLUMNS = ("model", "takes over", "NE", "AUC", "calibration", "log loss against its control", "control's NE at")
COLUMNS += ("log loss against one pass alone",)
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
    f"{CONFIGURED}, rows frozen for 200 steps": {"embedding": {"frozen_steps": 200}},
}
# Learning rate and L2 of the rows, dense learning rate: each the best of as many for nets and for controls, on a log of
# the size with seed 1. Rows that are seen twice want more L2.
Settings = dict[str, tuple[float, float, float]]
TUNED: dict[int, Settings] = {
    200_000: {
        "fnn": (0.3, 2e-5, 0.004),
        "fnn control": (0.3, 1e-4, 0.004),
        "deepfm": (0.05, 1e-3, 0.008),
        "deepfm control": (0.1, 3e-4, 0.004),
    },
    2_000_000: {
        "fnn": (0.1, 1e-4, 0.002),
        "fnn control": (0.2, 5e-4, 0.002),
        "fnn alone": (0.1, 1e-4, 0.002),
        "deepfm": (0.1, 1e-4, 0.002),
        "deepfm control": (0.2, 5e-4, 0.004),
        "deepfm alone": (0.1, 1e-4, 0.002),
    },
}
HEAD = """# Where pretraining by FM pays

FNN and DeepFM, each from the rows of one FM, against their controls: the same nets from random rows, on as many rows
in all. FM's pass counts, so that a control sees again what FM has seen, and its net sees every row once. At 2 M rows
and more, they stand beside the same nets after one pass alone as well: fewer rows, none of them twice. On a log of seed
1 of each size, which is not among these, nets and controls had the same number of trials for their learning rates (of
the rows and of the layers) and the rows' L2: some thirty each at 0.2 M rows, some twenty at 2 M, and six for one pass
alone. Change of log loss: below 0 pretraining helped.

- **Against a control of as many rows it pays at 2 M rows**, many ids with few rows each: by 1.1% for FNN and DeepFM.
  FM over two rows in five does what FM over all does, with 70% of the rows.
- **Against one pass alone it is worth 0.1% at most.** What a control loses is what a second look at rows with rare
  ids costs: a net that takes each row once, from random rows, comes to the pretrained one's NE, and needs no FM.
- **At 0.2 M rows it hurts FNN**: a control that sees the rows twice, at a high learning rate of its layers, is 2.5%
  ahead. DeepFM is ahead by less than it varies from log to log. On the demo's log, with few ids, it hurts both.
- **How the rows are taken over decides it.** Kept Adagrad accumulators hold still what FM has seen often: that costs
  0.4% after a short FM and 1% to 7% after a whole pass. A smaller scale makes little difference. Taking w and w0 over
  too, as FNN's authors do, gains nothing.
- **Layers pretrained as RBMs hurt**: at 0.2 M rows, log loss is 7% higher than without for FNN, 2% for DeepFM; rates
  halved from layer to layer cost 1%, rows frozen for the first 200 steps 5%.
- **At 10 M rows of one day**, seed 2, it is the same: 1.2% and 1.6% ahead of the controls, DeepFM with 70% of their
  rows, and level with one pass alone. The best NE, 0.804, lies 3.9% above the truth's.
- **On the Bank Marketing log** it makes no difference at random: FNN 0.8415, its control 0.8417. By time (trained up to
  March 2009, held out the two months after it) the nets learn next to nothing of use: their NE is 0.994 to 1.003.

Made by

    python tests/benchmarks/two_stage.py --out study --rows 200000 --transfers 0 5 6 7 8
    python tests/benchmarks/two_stage.py --out study --rows 2000000 --fm-epochs 0.4 --transfers 5 0
    python tests/benchmarks/two_stage.py --out study --rows 10000000 --fm-epochs 0.4 --seeds 2
    python tests/benchmarks/two_stage.py --out study --bank
    python tests/benchmarks/two_stage.py --out study --report

and the table of the choices of transfer with `--rows 2000000 --transfers 0 1 2 3 4 5`, all dense learning rates 0.002,
rows at 0.1 with L2 of 1e-4 for nets and 0.2 with 2e-3 for controls, by `--set stages.fnn.embedding=...` and so on.
"""


@dataclass(frozen=True, slots=True)
class World:
    """A log to train on: `name` and `seed` say which."""

    name: str
    seed: int
    config: TrainConfig
    store: Store
    best_possible_ne: float | None
    tuned: Settings

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
    parser.add_argument("--fm-epochs", type=float, default=1.0, help="of FM; a net has one, a control as many as both")
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
    for name, seed, config, tuned in worlds(told):
        if not any((entry.world, entry.seed) == (name, seed) for entry in entries):
            entries += study(prepare(name, seed, config, tuned), told.transfers or [], told.processes)
            saved.write_bytes(ENTRIES.dump_json(entries, indent=1))
            print(*table(name, [entry for entry in entries if entry.world == name]), sep="\n", flush=True)
    if told.report:
        report(entries)


def worlds(told: argparse.Namespace) -> Iterator[tuple[str, int, TrainConfig, Settings]]:
    """Name, seed, config and what was tuned of each log that was asked for."""
    folder = told.out.absolute()
    for size, seed in product(told.rows, told.seeds):
        logs, work = (f"{folder}/{kind}-{size}-{told.days}-{seed}" for kind in ("logs", "work"))
        generate(logs, days=told.days, rows_per_day=size // (told.days - 1), seed=seed, preset="apps")
        sets = [f"data.logs_uri={logs}", f"work_uri={work}-{told.fm_epochs}", f"seed={seed}"]
        name = f"synthetic, {size / 1e6:g} M rows of {told.days - 1} day{'s' * (told.days > 2)}"
        name += f", FM for {told.fm_epochs:g} of a pass" * (told.fm_epochs != 1)
        name += f", {told.called}" * bool(told.called)
        tuned = TUNED[size if size in TUNED else max(TUNED)]
        sets += [f"stages.fm.epochs={told.fm_epochs}", *overrides(tuned), *told.set]
        yield name, seed, load(TrainConfig, SYNTHETIC, sets), tuned
    spring = sorted(path.name.removeprefix("date=") for path in BANK_LOG.glob("date=2009-0[45]-*"))
    by_time = f"data.split={{by: date, train_to: 2009-03-31, test_dates: [{', '.join(spring)}]}}"
    for seed, kind in product(told.seeds if told.bank else (), ("at random", "by time")):
        sets = [f"data.logs_uri={BANK_LOG}", f"work_uri={folder}/work-bank-{kind[-4:]}-{seed}", f"seed={seed}"]
        sets.append(f"data.split.seed={seed}" if kind == "at random" else by_time)
        yield f"bank, {kind}", seed, load(TrainConfig, BANK, sets), {}


def prepare(name: str, seed: int, config: TrainConfig, tuned: Settings) -> World:
    """Encode the log, on a Ray of this machine."""
    inputs = find_inputs(config, lambda event: None)
    with cluster.connected(config.cluster):
        store = encoded_store(config, inputs, lambda event: None)
    return World(name, seed, config, store, best_possible_ne(config.data.logs_uri, inputs), tuned)


def overrides(tuned: Settings) -> Iterator[str]:
    """Of the config."""
    for net in ("fnn", "deepfm"):
        for section, values in sections(*tuned[net]).items():
            yield f"stages.{net}.{section}={values}"
        yield f"stages.{net}.control={sections(*tuned[f'{net} control'])}"


def sections(rows_rate: float, l2: float, dense_rate: float) -> dict[str, dict[str, Any]]:
    """Of a stage's config; a dict's text is YAML too."""
    embedding = {"learning_rate": rows_rate, "l2": l2}
    return {"embedding": embedding, "optimizer": {"name": "adam", "learning_rate": dense_rate}}


def study(world: World, transfers: Sequence[int], processes: int) -> Iterator[Entry]:
    """FM and the controls once, then each net from the same FM by each transfer."""
    of_name = {stage.name: stage for stage in world.config.stages}
    of_name |= {one.name: as_many_rows(one, world) for one in world.config.plan if one.control_of}
    first = [stage for stage in of_name.values() if stage.init_from is None]
    nets = [stage for stage in of_name.values() if stage.init_from is not None]
    alone = [alone_of(of_name[f"{net.name}-control"], net, world) for net in nets if f"{net.name} alone" in world.tuned]
    changed = [(AS_IS, net, net) for net in nets]
    if transfers:
        changed = [(list(TRANSFERS)[i], net, changed_as(net, i)) for net in nets for i in transfers]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(train, [world] * len(first + alone), first + alone))
        list(pool.map(train, [world] * len(changed), [stage for *_, stage in changed]))
    for stage in first:
        yield entry_of(world, stage, CONTROL if stage.control_of else "")
    for stage in alone:
        yield entry_of(world, stage, ALONE)
    for transfer, net, stage in changed:
        yield entry_of(world, stage, transfer, of_name[f"{net.name}-control"])


def alone_of(control: StageConfig, net: StageConfig, world: World) -> StageConfig:
    """The control over a single pass: fewer rows than the pretrained net has seen, and none of them twice."""
    own = sections(*world.tuned[f"{net.name} alone"])
    changes = {"name": f"{net.name}-alone", "epochs": 1.0, "control_of": None}
    return StageConfig.model_validate({**control.model_dump(), **own, **changes})


def as_many_rows(control: StageConfig, world: World) -> StageConfig:
    """Over the same rows as often as FM and the net together."""
    changes = {"days": "all", "epochs": control.epochs + world.config.stages[0].epochs}
    return StageConfig.model_validate({**control.model_dump(), **changes})


def changed_as(net: StageConfig, number: int) -> StageConfig:
    """The stage with the changes of that transfer, section by section."""
    tree = {**net.model_dump(), "name": f"{net.name}-{number}"}
    for section, values in list(TRANSFERS.values())[number].items():
        tree[section] = {**tree[section], **values}
    return StageConfig.model_validate(tree)


def train(world: World, stage: StageConfig) -> None:
    torch.set_num_threads(1)
    if not published.is_published(published.stage_uri(world.run_uri, stage.name)):
        local.run_stage(Rank(world.config, world.store, world.run_uri), stage, lambda point: None)


def entry_of(world: World, stage: StageConfig, transfer: str, control: StageConfig | None = None) -> Entry:
    own = results.progress(world.run_uri, stage.name)
    plain = Entry(world.name, world.seed, stage.model, transfer, own.results, own.curve, world.best_possible_ne)
    if control is None:
        return plain
    its = results.progress(world.run_uri, control.name)
    of_stage = control.model_copy(update={"control_of": stage.name})
    pair = (*(one for one in world.config.stages if one.init_from is None), stage, of_stage)
    num_fields = len(world.config.data.features.fields)
    lift = results.lifts(world.run_uri, pair, world.store, num_fields, world.seed)[stage.name]
    assert lift.at_equal_rows
    before = sum(results.progress(world.run_uri, one.name).rows_seen for one in pair if one.name == stage.init_from)
    reached = reached_at(own.curve, its.published_ne or -inf, before)
    return replace(
        plain,
        control_log_loss=its.results["log_loss"],
        change=lift.at_equal_rows.comparison.log_loss,
        rows_ratio=None if reached is None else reached / its.rows_seen,
    )


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
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    of_pass = {(entry.model, entry.seed): entry.results["log_loss"] for entry in entries if entry.transfer == ALONE}
    for (model, transfer), same in of_kind.items():
        changes = [entry.change.estimate / entry.control_log_loss for entry in same if entry.change]
        ratios = [entry.rows_ratio for entry in same if entry.rows_ratio is not None]
        reached = f"{spread(ratios, '.0%')} of its rows" if ratios else "never"
        reached += f" ({len(ratios)} of {len(same)})" if 0 < len(ratios) < len(same) else ""
        figures = (spread([entry.results[key] for entry in same], ".4f") for key in ("ne", "auc"))
        calibration = spread([entry.results["calibration"] for entry in same], ".3f")
        against = f"{spread(changes, '+.2%')} | {reached}" if changes else " | "
        its_pass = [(entry, of_pass.get(("dnn" if model == "fnn" else model, entry.seed))) for entry in same]
        ahead = [entry.results["log_loss"] / alone - 1 for entry, alone in its_pass if alone and changes]
        against += f" | {spread(ahead, '+.2%') if ahead else ''}"
        lines.append(f"| {model} | {transfer} | {' | '.join(figures)} | {calibration} | {against} |")
    return lines


def spread(values: list[float], form: str) -> str:
    deviation = f" ± {statistics.stdev(values):{form.replace('+', '')}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{form}}{deviation}"


def plot(entries: list[Entry]) -> Figure:
    """Held-out NE against rows seen, FM's included: of each net, its best transfer, its control and one pass alone."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, model, control in zip(figure.subplots(1, 2), ("fnn", "deepfm"), ("dnn", "deepfm"), strict=True):
        of_transfer = {name: [e for e in entries if e.model == model and e.transfer == name] for name in names(entries)}
        best = min(of_transfer, key=lambda name: statistics.fmean(e.results["ne"] for e in of_transfer[name]))
        controls = {e.seed: e for e in entries if e.model == control and e.transfer == CONTROL}
        alone = {e.seed: e for e in entries if e.model == control and e.transfer == ALONE}
        for entry in of_transfer[best]:
            its = controls[entry.seed]
            before = its.results["rows_seen"] - entry.results["rows_seen"]
            lines = [(f"from FM, {best}", entry, before, "#0072B2"), ("control", its, 0.0, "#D55E00")]
            if entry.seed in alone:
                lines.append(("one pass alone", alone[entry.seed], 0.0, "#009E73"))
            for label, one, start, color in lines:
                rows, ne = [(x + start) / 1e6 for x, _ in one.curve], [y for _, y in one.curve]
                axes.plot(rows, ne, color, label=label if entry is of_transfer[best][0] else None)
        axes.set(title=model, xlabel="rows seen, those by FM included (millions)", ylabel="held-out NE")
        axes.legend()
    return figure


def names(entries: list[Entry]) -> list[str]:
    """Of the transfers."""
    return [name for name in dict.fromkeys(entry.transfer for entry in entries) if name not in ("", CONTROL, ALONE)]


if __name__ == "__main__":
    main()
