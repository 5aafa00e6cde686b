"""What FM over the history buys a net over the newest days: against the net alone, at equal time and at equal rows.

    python tests/benchmarks/two_stage.py --out study --preset ads apps
    python tests/benchmarks/two_stage.py --out study --bank
    python tests/benchmarks/two_stage.py --out study --report

Logs of thirty days and one that is held out. FM learns from the first 27, 23 or 16 days, FNN and DeepFM from it on the
others; a control is the same net from random rows, on as many of the newest days as the same seconds buy, or on the
net's days alone. All are tuned alike on a log of seed 1: of TRIALS, each is given those that are best for it there.

Each stage is trained in one process, where one thread takes the steps and others read and prepare ahead. All goes by
seconds: it wants two cores, and nothing beside it.
`study/results.json` has an entry a net; what is there is not trained again. `--report` writes two_stage.md's tables and
its plots.
"""

import argparse
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import inf, nan
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from pipeline.data.store import Store
from pipeline.evaluation.lift import Control, Lift
from pipeline.retrain.dataset import best_possible_ne, encoded_store, find_inputs
from pipeline.runtime import cluster
from pipeline.synthetic.log import generate
from pipeline.synthetic.presets import PresetName
from pipeline.training import affordable, local, memory, published, results
from pipeline.training.checkpoint import Progress
from pipeline.training.rank import Rank
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.plan import controls_of
from schemas.stage import StageConfig

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_suffix(".md")
IMAGES = ROOT / "infra" / "images"
SYNTHETIC, BANK = ROOT / "jobs/configs/study.yaml", ROOT / "jobs/configs/bank_marketing.yaml"
BANK_LOG = ROOT.parent / "shared/data/bank_marketing"
BANK_NET_DAYS, AS_CONFIGURED = 60, "as its config says"
BANK_MONTHS = ("2009-04", "2009-05", "2009-06", "2009-07", "2009-08", "2009-09", "2009-10", "2009-11")
NUM_DAYS = 30
TUNING_SEED = 1
LAYERS = {"300x100": (300, 100), "400x400x400": (400, 400, 400)}
CALLED = {"fnn": "FNN", "deepfm": "DeepFM"}
# What else is tried of a net on the last seven days, with layers of 300 and 100; `init_from: all`: an FM of all days.
VARIED_DAYS, VARIED_LAYERS = 7, "300x100"
VARIANTS: dict[str, dict[str, Any]] = {
    "v alone, new accumulators": {"transfer": {"w": False, "w0": False, "accumulators": 0.0}},
    "all, a tenth of the accumulators": {"transfer": {"accumulators": 0.1}},
    "from FM on all days, v alone": {"init_from": "all"},
    "from FM on all days, all taken over": {"init_from": "all", "transfer": {"w": True, "w0": True, "accumulators": 1}},
    "layers not normalised": {"mlp": {"batch_norm": False}},
    "layers not normalised, from RBMs": {"mlp": {"batch_norm": False, "rbm": {}}},
    "layer rates halved downwards": {"optimizer": {"layer_decay": 0.5}},
}
CONFIGURED = "all taken over"
TUNED_STAGES = ("fnn", "fnn-control", "fnn-alone", "deepfm", "deepfm-control", "deepfm-alone")
MARK = "<!-- from here on as `--report` writes it -->"
COLUMNS = ("FM, net", "net", "NE", "seconds", "alone as long", "by", "its NE at", "alone on the net's days", "by")


class Settings(NamedTuple):
    """What is tuned: the rows' learning rate and L2, the layers' learning rate, and whether these are normalised."""

    rows_rate: float
    l2: float
    dense_rate: float
    batch_norm: bool

    def given_to(self, stage: StageConfig) -> StageConfig:
        return derived(
            stage,
            embedding={"learning_rate": self.rows_rate, "l2": self.l2},
            optimizer={"name": "adam", "learning_rate": self.dense_rate},
            mlp=derived(stage.mlp, batch_norm=self.batch_norm),
        )

    def __str__(self) -> str:
        return f"{self.rows_rate:g}, {self.l2:g}, {self.dense_rate:g}{', normalised' * self.batch_norm}"


TRIALS = (
    Settings(0.1, 1e-4, 0.002, batch_norm=False),
    Settings(0.1, 1e-4, 0.004, batch_norm=False),
    Settings(0.1, 3e-5, 0.004, batch_norm=False),
    Settings(0.05, 1e-4, 0.004, batch_norm=False),
    Settings(0.1, 1e-4, 0.004, batch_norm=True),
    Settings(0.1, 3e-5, 0.004, batch_norm=True),
    Settings(0.05, 1e-4, 0.004, batch_norm=True),
    Settings(0.05, 3e-5, 0.004, batch_norm=True),
)
Tuned = dict[str, Settings]
"""Stage -> what it was given."""


@dataclass(frozen=True, slots=True)
class World:
    """A log to train on; `seed` of several that are alike, or a month."""

    name: str
    seed: int
    config: TrainConfig
    store: Store
    best_possible_ne: float | None

    def run_uri(self, of: str) -> str:
        return f"{self.config.work_uri}/study/{of}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A net after FM, and what that bought it; of a variant its NE alone."""

    world: str
    seed: int
    net_days: int
    model: str
    layers: str
    variant: str
    ne: float
    best_possible_ne: float | None
    lift: Lift | None = None
    fm_seconds: float = 0.0
    control_days: str = ""
    curve: list[tuple[float, float]] = field(default_factory=list)
    """[seconds, FM's included, NE on a sample of the held-out rows], as training went."""
    control_curve: list[tuple[float, float]] = field(default_factory=list)

    @property
    def key(self) -> tuple[object, ...]:
        return self.world, self.seed, self.net_days, self.model, self.layers, self.variant


ENTRIES, TUNED = TypeAdapter(list[Entry]), TypeAdapter(dict[str, Tuned])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", nargs="*", default=[], choices=["ads", "apps"])
    parser.add_argument("--rows-per-day", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--net-days", type=int, nargs="+", default=[3, 7, 14], help="the newest; FM has the others")
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--bank", action="store_true", help="the Bank Marketing log, one month held out after another")
    parser.add_argument("--report", action="store_true")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    saved = told.out / "results.json"
    entries: list[Entry] = ENTRIES.validate_json(saved.read_bytes()) if saved.exists() else []
    for world, net_days, layers in cases(told):
        key = world.name, world.seed, net_days, layers
        if not any((one.world, one.seed, one.net_days, one.layers) == key for one in entries):
            entries += studied(world, net_days, layers, Tunings(told.out / "tuned.json"))
            saved.write_bytes(ENTRIES.dump_json(entries, indent=1))
            print(*table([one for one in entries if one.world == world.name]), sep="\n", flush=True)
    if told.report:
        report(entries, Tunings(told.out / "tuned.json"))


def cases(told: argparse.Namespace) -> Iterator[tuple[World, int, str]]:
    """Each log, with each division of its days and each size of layers, once settings are tuned for that division."""
    folder = told.out.absolute()
    for preset in told.preset:
        logs = [synthetic(preset, told.rows_per_day, seed, folder) for seed in (TUNING_SEED, *told.seeds)]
        tuning, *worlds = prepared(logs)
        for net_days in told.net_days:
            if told.layers:
                tune(tuning, net_days, Tunings(folder / "tuned.json"))
            for layers, world in product(told.layers, worlds):
                yield world, net_days, layers
    if told.bank:
        for world in prepared([bank(month, folder) for month in BANK_MONTHS]):
            yield world, BANK_NET_DAYS, AS_CONFIGURED


def synthetic(preset: PresetName, rows_per_day: int, seed: int, folder: Path) -> tuple[str, int, TrainConfig]:
    name = f"{preset}, {rows_per_day:,} rows a day"
    logs = f"{folder}/logs-{preset}-{rows_per_day}-{seed}"
    if not Path(logs, "truth.json").exists():
        generate(logs, days=NUM_DAYS + 1, rows_per_day=rows_per_day, seed=seed, preset=preset)
    work = f"{folder}/work-{preset}-{rows_per_day}-{seed}"
    return name, seed, load(TrainConfig, SYNTHETIC, [f"data.logs_uri={logs}", f"work_uri={work}", f"seed={seed}"])


def bank(month: str, folder: Path) -> tuple[str, int, TrainConfig]:
    """The days before a month to train on, the month held out."""
    days = sorted(path.name.removeprefix("date=") for path in BANK_LOG.glob("date=*"))
    train_to = max(day for day in days if day < month)
    own = ", ".join(day for day in days if day.startswith(month))
    split = f"data.split={{by: date, train_to: {train_to}, test_dates: [{own}]}}"
    sets = [f"data.logs_uri={BANK_LOG}", f"work_uri={folder}/work-bank-{month}", split]
    return "bank, month after month", int(month.replace("-", "")), load(TrainConfig, BANK, sets)


def prepared(logs: Sequence[tuple[str, int, TrainConfig]]) -> list[World]:
    """Encoded, on a Ray of this machine."""
    worlds = []
    with cluster.connected(logs[0][2].cluster):
        for name, seed, config in logs:
            inputs = find_inputs(config, lambda event: None)
            store = encoded_store(config, inputs, lambda event: None)
            worlds.append(World(name, seed, config, store, best_possible_ne(config.data.logs_uri, inputs)))
    torch.set_num_threads(1)
    memory.keep_freed()
    return worlds


class Tunings:
    """What was best for each stage on the log that is tuned on, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._of: dict[str, Tuned] = TUNED.validate_json(path.read_bytes()) if path.exists() else {}

    def of(self, world: str, net_days: int) -> Tuned:
        """None of a log whose config is taken as it is."""
        return self._of.get(f"{world}, {net_days}", {})

    def keep(self, world: str, net_days: int, tuned: Tuned) -> None:
        self._of[f"{world}, {net_days}"] = tuned
        self._path.write_bytes(TUNED.dump_json(self._of, indent=1))


def tune(world: World, net_days: int, tunings: Tunings) -> None:
    """Give every net and control each of TRIALS, and find the one of its lowest NE; FM is the same in all."""
    if tunings.of(world.name, net_days):
        return
    best: dict[str, tuple[float, Settings]] = {}
    for number, trial in enumerate(TRIALS):
        config = divided(world.config, net_days, VARIED_LAYERS, dict.fromkeys(TUNED_STAGES, trial))
        run_uri = world.run_uri(f"{net_days}-trial-{number}")
        train(world, config.plan, config, run_uri)
        for name in TUNED_STAGES:
            best[name] = min(best.get(name, (inf, trial)), (results.progress(run_uri, name).results["ne"], trial))
    tunings.keep(world.name, net_days, {name: trial for name, (_, trial) in best.items()})


def divided(config: TrainConfig, net_days: int, layers: str, tuned: Tuned) -> TrainConfig:
    """The config with its nets on so many days, of such layers, each with its two controls, and all as tuned."""
    first, *nets = config.stages
    names = tuple(net.name for net in nets)
    stages = [derived(first, days={"before": names})]
    for net in nets:
        own = derived(net, days={"last": net_days})
        if layers in LAYERS:
            own = derived(own, mlp=derived(net.mlp, hidden=LAYERS[layers]))
        for stage in (own, *controls_of(own, "all")):
            stages.append(tuned[stage.name].given_to(stage) if stage.name in tuned else stage)
    return derived(config, stages=tuple(stages), control=False)


def train(world: World, stages: Sequence[StageConfig], config: TrainConfig, run_uri: str) -> None:
    for stage in stages:
        if not published.is_published(published.stage_uri(run_uri, stage.name)):
            own = affordable.on_its_days(stage, config, world.store, run_uri)
            local.run_stage(Rank(config, world.store, run_uri), own, lambda point: None)


def studied(world: World, net_days: int, layers: str, tunings: Tunings) -> Iterator[Entry]:
    tuned = tunings.of(world.name, net_days)
    config, run_uri = divided(world.config, net_days, layers, tuned), world.run_uri(f"{net_days}-{layers}")
    train(world, config.plan, config, run_uri)
    num_fields = len(config.data.features.fields)
    for name, lift in results.lifts(run_uri, config.plan, world.store, num_fields, world.seed).items():
        fm, net, control = (results.progress(run_uri, one) for one in ("fm", name, f"{name}-control"))
        yield Entry(
            *(world.name, world.seed, net_days, name, layers, CONFIGURED, net.results["ne"], world.best_possible_ne),
            lift=lift,
            fm_seconds=fm.seconds,
            control_days=control.settings["days"],
            curve=in_seconds(net, fm.seconds),
            control_curve=in_seconds(control, 0.0),
        )
    if tuned and (net_days, layers) == (VARIED_DAYS, VARIED_LAYERS):
        yield from varied(world, config, run_uri)


def in_seconds(progress: Progress, before: float) -> list[tuple[float, float]]:
    rate = progress.rows_seen / max(progress.seconds, 1e-9)
    return [(before + rows / rate, ne) for rows, ne in progress.curve]


def varied(world: World, config: TrainConfig, run_uri: str) -> Iterator[Entry]:
    """Each net as VARIANTS change it, from the same FM or from one of all days."""
    of_name = {stage.name: stage for stage in config.stages}
    on_all = derived(of_name["fm"], name="all", days="all")
    for name, (number, (variant, changes)) in product(CALLED, enumerate(VARIANTS.items())):
        tree = of_name[name].model_dump(exclude_unset=True) | {"name": f"{name}-{number}"}
        for key, change in changes.items():
            tree[key] = {**tree.get(key, {}), **change} if isinstance(change, dict) else change
        stage = StageConfig.model_validate(tree)
        own = derived(config, stages=(*config.stages, on_all, stage))
        train(world, own.stages[-2:], own, run_uri)
        ne = results.progress(run_uri, stage.name).results["ne"]
        yield Entry(world.name, world.seed, VARIED_DAYS, name, VARIED_LAYERS, variant, ne, world.best_possible_ne)


def report(entries: list[Entry], tunings: Tunings) -> None:
    """The page: what is found, a table a log, means over its seeds with their deviation, and the plots."""
    text = [PAGE.read_text(encoding="utf-8").split(MARK)[0] + MARK]
    for world in dict.fromkeys(entry.world for entry in entries):
        own = [entry for entry in entries if entry.world == world]
        text += [*table(own), *table_of_variants(own), *table_of_settings(own, tunings)]
        name = f"two-stage-{re.sub('[^a-z0-9]+', '-', world.lower())}.png"
        plot(own).savefig(IMAGES / name, dpi=110)
        text += ["", f"![NE against seconds: {world}](../../infra/images/{name})"]
    PAGE.write_text("\n".join(text) + "\n", encoding="utf-8")


def table(entries: list[Entry]) -> list[str]:
    world, best = entries[0].world, {one.seed: one.best_possible_ne for one in entries if one.best_possible_ne}
    lines = ["", f"## {world[0].upper()}{world[1:]}", ""]
    lines += [f"Best possible NE: {spread(list(best.values()), '.4f')}.", ""] if best else []
    lines += [f"| {' | '.join(COLUMNS)} |", "|---" * 2 + "|---:" * (len(COLUMNS) - 2) + "|"]
    cases = {(one.net_days, one.model, one.layers): None for one in entries if one.lift}
    for net_days, model, layers in cases:
        same = [one for one in entries if (one.net_days, one.model, one.layers) == (net_days, model, layers)]
        lifts = [one.lift for one in same if one.lift]
        times = [one.at_equal_time for one in lifts if one.at_equal_time]
        rows = [one.at_equal_rows for one in lifts if one.at_equal_rows]
        ratios = [one.time_ratio for one in lifts if one.time_ratio is not None]
        reached = f"{spread(ratios, '.0%')} of its time" if ratios else "never"
        reached += f" ({len(ratios)} of {len(lifts)})" if 0 < len(ratios) < len(lifts) else ""
        days = (
            f"{NUM_DAYS - net_days}, {net_days}" if model in CALLED and layers in LAYERS else f"all before, {net_days}"
        )
        figures = [days, f"{CALLED[model]} {layers}", spread([one.ne or nan for one in lifts], ".4f")]
        figures += [f"{statistics.fmean(one.seconds for one in lifts):.1f}", *against(times), reached, *against(rows)]
        lines.append(f"| {' | '.join(figures)} |")
    return lines


def against(controls: Sequence[Control]) -> tuple[str, str]:
    """NE, and the pretrained net's above it as a share."""
    changes = [one.change.estimate for one in controls if one.change]
    return spread([one.ne or nan for one in controls], ".4f"), spread(changes, "+.2%")


def table_of_variants(entries: list[Entry]) -> list[str]:
    variants = list(dict.fromkeys(one.variant for one in entries if one.variant != CONFIGURED))
    if not variants:
        return []
    of_key = {one.key: one for one in entries}
    lines = ["", f"Of {NUM_DAYS - VARIED_DAYS} and {VARIED_DAYS} days, layers of {VARIED_LAYERS}, NE above that of", ""]
    lines[-2] += " the net that takes over all:"
    lines += ["| otherwise | FNN | DeepFM |", "|---|---:|---:|"]
    for variant in variants:
        cells = []
        for model in CALLED:
            own = [one for one in entries if (one.variant, one.model) == (variant, model)]
            plain = [of_key[(*one.key[:-1], CONFIGURED)] for one in own]
            cells.append(spread([one.ne / base.ne - 1 for one, base in zip(own, plain, strict=True)], "+.2%"))
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return lines


def table_of_settings(entries: list[Entry], tunings: Tunings) -> list[str]:
    world = entries[0].world
    found = {days: tunings.of(world, days) for days in dict.fromkeys(one.net_days for one in entries)}
    if not any(found.values()):
        return []
    lines = [
        "",
        "Learning rate of the rows, their L2, learning rate of the layers, and batch norm, as best on seed 1:",
        "",
    ]
    lines += [f"| FM, net | {' | '.join(TUNED_STAGES)} |", "|---" * (1 + len(TUNED_STAGES)) + "|"]
    for days, tuned in found.items():
        cells = " | ".join(str(tuned[name]) for name in TUNED_STAGES)
        lines.append(f"| {NUM_DAYS - days}, {days} | {cells} |")
    return lines


def spread(values: Sequence[float], form: str) -> str:
    deviation = f" ± {statistics.stdev(values):{form.replace('+', '')}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{form}}{deviation}" if values else ""


def plot(entries: list[Entry]) -> Figure:
    """NE against seconds on a core, FM's included: nets after FM, and their controls of as long."""
    layers = next(iter(dict.fromkeys(one.layers for one in entries)))
    drawn = [one for one in entries if one.lift and one.layers == layers]
    days = sorted({one.net_days for one in drawn})
    figure = Figure(figsize=(4 * len(days), 6), layout="constrained")
    grid = figure.subplots(len(CALLED), len(days), squeeze=False, sharey=True)
    for (row, model), (column, net_days) in product(enumerate(CALLED), enumerate(days)):
        own = [one for one in drawn if (one.model, one.net_days) == (model, net_days)]
        draw(grid[row][column], own, f"{CALLED[model]} {layers}, last {net_days} days")
    return figure


def draw(axes: Axes, entries: Sequence[Entry], title: str) -> None:
    for number, entry in enumerate(entries):
        label, alone = ("after FM on the days before", "alone, as long") if number == 0 else (None, None)
        axes.plot(*zip(*entry.curve, strict=True), color="#0072B2", label=label)
        axes.plot(*zip(*entry.control_curve, strict=True), color="#D55E00", label=alone)
        axes.axvspan(0, entry.fm_seconds, color="#0072B2", alpha=0.04)
    axes.set(title=title, xlabel="seconds in steps; shaded: FM", ylabel="held-out NE")
    axes.legend()


if __name__ == "__main__":
    main()
