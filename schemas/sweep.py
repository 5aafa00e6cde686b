"""SweepConfig: which keys of a TrainConfig are drawn, from what, and what the search for the best values may cost."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.drawn import Values as Values
from schemas.errors import Refusal
from schemas.features import FROZEN
from schemas.loading import load
from schemas.overrides import position
from schemas.stage import StageConfig

SWEEPABLE = ("stages", "table")
MOST_SEEDS = 20
REPEATS = 100  # draws in a row of what was drawn before, after which a space is taken to hold no more


class SweepConfig(BaseModel):
    """A search over values of a TrainConfig, judged by one stage's NE on the validation rows."""

    model_config = FROZEN
    stage: str = Field(
        description="Stage whose NE is to fall, or its control, on the stage's own days then. Stages before it are "
        "trained first."
    )
    space: dict[str, Values] = Field(
        min_length=1, description="Dotted key, as `--set` has it, and what its values are drawn from."
    )
    trials: PositiveInt = Field(default=16, description="Draws of all keys together.")
    concurrent: PositiveInt | None = Field(
        default=None, description="Trials at the same time, on a CPU each; none: as many as the cluster has CPUs."
    )
    seed: int = Field(
        default=0, ge=0, description="Seed of the draws alone; a larger number of trials begins with the same."
    )
    seeds: PositiveInt = Field(
        default=1,
        le=MOST_SEEDS,
        description="Seeds that a trial is trained with which nothing stops, the config's and those after it: it is "
        "judged by the mean over them. `--seeds` of the command line.",
    )
    grace_looks: PositiveInt = Field(
        default=2, description="Looks at the validation rows before a trial may be stopped; many: none is stopped."
    )
    reduction: float = Field(
        default=3.0, gt=1, description="Of the trials that come to a rung of ASHA, about 1 / reduction goes on from it."
    )
    seconds: PositiveFloat | None = Field(
        default=None,
        description="Seconds after which trials are stopped, wherever they are; none: all end by themselves.",
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """One draw, and the config that it makes or why there is none."""

    number: int
    values: dict[str, Any]
    config: TrainConfig | None
    refusal: Refusal | None = None


def check(sweep: SweepConfig, config: TrainConfig, where: str) -> None:
    """Refuse what no trial could be judged by, or what would judge each by other rows."""
    names = [stage.name for stage in config.plan]
    if sweep.stage not in names:
        raise Refusal(
            found=f"stage {sweep.stage!r}",
            expected=f"one of {', '.join(names)}",
            where=f"{where}: stage",
            remedy="name the stage of the config whose NE is to fall",
        )
    if not config.data.has_validation:
        raise Refusal(
            found="no validation rows",
            expected="rows to judge the trials by that are neither trained on nor held out for the verdict",
            where="data.split.validation_dates, data.validation_share",
            remedy="set one of them in the config, or by --set data.validation_share=0.05",
        )
    first = lineage(config, sweep.stage)[0]
    if first.init_from is not None:
        raise Refusal(
            found=f"stage {first.name!r}, which starts from {first.init_from}",
            expected="stages that start from one another or from scratch",
            where=f"{where}: stage",
            remedy="sweep the stage from scratch, or from an earlier stage, by its init_from",
        )
    for key in sweep.space:
        top, _, rest = key.partition(".")
        if top not in SWEEPABLE:
            raise Refusal(
                found=f"key {key!r}",
                expected=f"a key of {' or '.join(SWEEPABLE)}: all trials share their rows, and are judged by the same",
                where=f"{where}: space",
                remedy="remove it; sweep other data with another config",
            )
        if top == "stages":
            _check_part(rest.partition(".")[0], key, sweep, config, where)


def _check_part(part: str, key: str, sweep: SweepConfig, config: TrainConfig, where: str) -> None:
    """Refuse to draw values of a stage that the swept one does not depend on."""
    known = [stage.name for stage in config.stages]
    index = position(known, part)
    name = part if index is None else known[index]
    used = {owner(config, stage.name) for stage in lineage(config, sweep.stage)}
    can_change = any(one.endswith("init_from") for one in sweep.space)
    if name in known and name not in used and not can_change:
        raise Refusal(
            found=f"key {key!r}, of a stage that {sweep.stage!r} does not start from",
            expected=f"keys of {', '.join(name for name in known if name in used)}, or of table",
            where=f"{where}: space",
            remedy="remove it, or sweep that stage by itself",
        )


def draw_trials(sweep: SweepConfig, path: Path, overrides: Sequence[str], where: str) -> list[Trial]:
    """The config at `path` under each draw. Raises Refusal if it refuses all of them, an unknown key for example."""
    trials = [_trial(number, values, sweep, path, overrides) for number, values in enumerate(draw(sweep), 1)]
    if all(trial.refusal for trial in trials):
        first = trials[0].refusal
        assert first is not None
        raise Refusal(
            found=first.found, expected=first.expected, where=f"{first.where}, from {where}", remedy=first.remedy
        )
    return trials


def draw(sweep: SweepConfig) -> list[dict[str, Any]]:
    """The values of each trial, no two alike; fewer than asked for where the space holds no more."""
    generator = random.Random(sweep.seed)  # noqa: S311 (nothing secret)
    drawn: dict[str, dict[str, Any]] = {}
    repeats = 0
    while len(drawn) < sweep.trials and repeats < REPEATS:
        values = {key: sweep.space[key].draw(generator) for key in sorted(sweep.space)}
        text = json.dumps(values)
        repeats = repeats + 1 if text in drawn else 0
        drawn.setdefault(text, values)
    return list(drawn.values())


def lineage(config: TrainConfig, name: str) -> tuple[StageConfig, ...]:
    """The stages of the plan that one starts from, first to last, and itself.

    A control has the days of its stage: those that its time would buy go by seconds that no trial tells.
    """
    of_name = {stage.name: stage for stage in config.plan}
    stages = [of_name[name]]
    if stages[0].days == "affordable":
        stages = [derived(stages[0], days=of_name[stages[0].control_of or ""].days)]
    while (earlier := of_name.get(stages[0].init_from or "")) is not None:
        stages.insert(0, earlier)
    return tuple(stages)


def owner(config: TrainConfig, name: str) -> str:
    """The stage of the config that a stage of the plan is, or is the control of."""
    if any(stage.name == name for stage in config.stages):
        return name
    control_of = lineage(config, name)[-1].control_of
    assert control_of is not None
    return control_of


def _trial(number: int, values: dict[str, Any], sweep: SweepConfig, path: Path, overrides: Sequence[str]) -> Trial:
    try:
        config = load(TrainConfig, path, [*overrides, *as_overrides(values)])
        check(sweep, config, str(path))
    except Refusal as refusal:
        return Trial(number, values, None, refusal)
    return Trial(number, values, config)


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Drawn values as `--set` has them."""
    return [f"{key}={_as_yaml(value)}" for key, value in values.items()]


def _as_yaml(value: Any) -> str:
    """On one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return text.removesuffix("...\n").rstrip("\n")
