"""What became of each night, and what has moved the champion between them: a small file each, in the work folder."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Literal

from pydantic import TypeAdapter

from pipeline.report.page import NOTHING_SERVES, Outcome
from pipeline.runtime import files, trusted
from pipeline.runtime.progress import Phase
from schemas.config import TrainConfig

MOVES = "moves"  # beside the folders of days


@dataclass(frozen=True, slots=True)
class Night:
    """A night that is over. Figures are of the held-out rows; `progressive` those of yesterday's champion, by day."""

    day: date
    key: str
    outcome: Outcome
    verdict: str
    """In a sentence."""
    held_out_days: tuple[date, ...]
    start: str
    run_id: str
    tracking_uri: str
    champion_uri: str | None
    """That serves from now on."""
    began_with: str | None = None
    """The champion that it began with; in records of older versions None."""
    candidate_uri: str | None = None
    candidate: dict[str, float] = field(default_factory=dict)
    champion: dict[str, float] = field(default_factory=dict)
    """Figures of yesterday's champion on the same rows."""
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Metric -> the interval that the held-out rows tell the candidate's by, at `night.gate.confidence`."""
    champion_bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    """What needs no model, on the same rows: the base rate of the days before, and of each group."""
    progressive: dict[str, dict[str, float]] = field(default_factory=dict)
    rows_trained: int = 0
    """Rows of the log, each once; in records of older versions as often as a stage went over it."""
    passes: float = 0.0
    """How often all stages together went over them; 0: not told."""
    num_ids: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Step -> how long it took."""
    phases: tuple[Phase, ...] = ()
    """When each step and each of its parts was at work, until the verdict; empty in records of older versions."""
    breaches: tuple[str, ...] = ()
    """What of the day is broken, a line a rule; in records of older versions a line a field, of what is unusual too."""
    unusual: tuple[str, ...] = ()
    num_breaches: int = 0
    """Of both kinds, all of them in `breaches.txt` of the run."""
    worth: dict[str, float] = field(default_factory=dict)
    """Field -> the rise of the candidate's NE where it is shuffled; empty where it was not asked for."""
    failures: dict[str, str] = field(default_factory=dict)
    """Stages that could not be trained, and why."""
    failed_rules: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    """What of the config its key depends on, by dotted key; as the two below, empty in records of older versions."""
    log: dict[str, str] = field(default_factory=dict)
    """Day -> what tells its files from others."""
    code: str = ""
    """The sources that its key depends on."""
    cluster: dict[str, str] = field(default_factory=dict)
    """What it was trained with and changes nothing of what it came to."""
    runs: tuple[str, ...] = ()
    """Folders of runs/ that it has trained in."""
    rates: dict[str, float] = field(default_factory=dict)
    """Model -> rows a second of its steps, all ranks together; of several stages of a model, of the last."""
    ended: datetime | None = None
    """When its verdict was there; None in records of older versions."""

    @property
    def became(self) -> str:
        """The outcome, as people read it: a night that began without a champion has kept nothing."""
        return NOTHING_SERVES if self.outcome == "kept" and self.champion_uri is None else self.outcome

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str, indent=1)


@dataclass(frozen=True, slots=True)
class Move:
    """The champion was moved, and no night did it."""

    time: datetime
    kind: Literal["rollback", "rebuild"]
    from_uri: str
    to_uri: str
    by: str = ""
    """Whose command it was, as the machine calls them."""


def moved(config: TrainConfig, move: Move) -> None:
    trusted.write(f"{_root(config)}/{MOVES}/{move.time:%Y%m%dT%H%M%S.%f}.json", asdict(move))


def moves_of(config: TrainConfig) -> list[Move]:
    """Of the config's registered model, oldest first."""
    folder = f"{_root(config)}/{MOVES}"
    names = files.names(folder) if files.exists(folder) else []
    return [move for move in (trusted.peek(f"{folder}/{name}", _parse_move) for name in names) if move]


def of_day(config: TrainConfig, day: date) -> list[Night]:
    """Those of a day: one a key that it was begun under, the stopped ones too."""
    return _of_folder(f"{_root(config)}/date={day}")


def write(config: TrainConfig, night: Night) -> None:
    trusted.write(_uri(config, night.day, night.key), asdict(night))


def all_of(config: TrainConfig) -> list[Night]:
    """The nights of the config's registered model, oldest day first; one a config that asked for a day."""
    return _all_in(_root(config))


def newest_of_each_model(config: TrainConfig) -> list[Night]:
    """Of all models that have their nights in this work folder, the newest night that is over."""
    found = []
    for root in _roots(config):
        over = (night for day in reversed(_days_in(root)) for night in _of_folder(f"{root}/{day}"))
        found += [night for night in [next((one for one in over if one.outcome != "stopped"), None)] if night]
    return found


def runs_of_all(config: TrainConfig) -> set[str]:
    """Names of the folders that the nights of all models here have trained in and are done with."""
    return {run for root in _roots(config) for night in _all_in(root) for run in night.runs}


def _all_in(root: str) -> list[Night]:
    if not files.exists(root):
        return []
    nights = [night for folder in _days_in(root) for night in _of_folder(f"{root}/{folder}")]
    return sorted(nights, key=lambda night: (night.day, night.key))


def _days_in(root: str) -> list[str]:
    return [name for name in files.folders(root) if name.startswith("date=")]


def _of_folder(folder: str) -> list[Night]:
    """A damaged record stays until its night, asked for again, writes it anew."""
    names = files.names(folder) if files.exists(folder) else []
    return [night for night in (trusted.peek(f"{folder}/{name}", _parse) for name in names) if night]


def _roots(config: TrainConfig) -> list[str]:
    nights = f"{config.work_uri}/nights"
    return [f"{nights}/{model}" for model in files.folders(nights)] if files.exists(nights) else []


def _parse(content: bytes) -> Night:
    return TypeAdapter(Night).validate_python(trusted.unsealed(content))


def _parse_move(content: bytes) -> Move:
    return TypeAdapter(Move).validate_python(trusted.unsealed(content))


def _root(config: TrainConfig) -> str:
    return f"{config.work_uri}/nights/{config.mlflow.registered_model}"


def _uri(config: TrainConfig, day: date, key: str) -> str:
    return f"{_root(config)}/date={day}/{key}.json"
