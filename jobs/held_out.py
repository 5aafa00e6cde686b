"""What a model is to be judged on, as it was asked for: found and checked before any row is read."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.places import load_config
from schemas.checking import derived

if TYPE_CHECKING:
    from pipeline.data.logs import Manifest
    from pipeline.data.split import ResolvedSplit
    from pipeline.data.unknown_classes import UnknownClass
    from pipeline.registry.bundle import Bundle
    from pipeline.registry.tracking import Tracking
    from schemas.config import TrainConfig

Dates = Annotated[
    list[datetime.datetime] | None,
    typer.Option("--dates", formats=["%Y-%m-%d"], help="Days to judge on, once each; none: the config's held-out."),
]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A model, and the held-out rows that it is judged by."""

    config: "TrainConfig"
    tracking: "Tracking"
    bundle: "Bundle"
    manifest: "Manifest"
    split: "ResolvedSplit"

    @classmethod
    def find(
        cls, config: Path, overrides: Sequence[str] | None, model: str, dates: Sequence[datetime.datetime] | None
    ) -> "HeldOut":
        """Raises Refusal for days that the log does not have, and for a model that is not there."""
        loaded = load_config(config, overrides)
        from pipeline.data import logs, split
        from pipeline.registry import model_uri

        data = loaded.data
        days = logs.days_of(data)
        wanted = sorted({when.date() for when in dates or ()})
        split.require(wanted, days, data.logs_uri)
        judged = split.to_judge(wanted, data) if wanted else split.resolve(days, data)
        tracking = model_uri.where_registered(model, loaded.mlflow, loaded.work_uri)
        bundle = model_uri.load_bundle(tracking, model)
        own = data.features  # which may have learned of columns that an older model does not know
        manifest = logs.find(data, judged.test_days, bundle.spec, known={*own.columns, *own.ignored})
        return cls(loaded, tracking, bundle, manifest, judged)

    @property
    def learned(self) -> tuple[datetime.date, ...]:
        """The days that the model has learned rows of."""
        from pipeline.scoring import held_out

        return held_out.learned_days(self.bundle, self.split)

    def unknown_classes(self) -> "tuple[UnknownClass, ...]":
        """Rows of the judged days that the model says nothing of. Raises Refusal for more than `data.max_bad_share`."""
        from pipeline.profiles import class_check

        own = derived(self.config.data, features=self.bundle.spec)
        days = self.manifest.of_days(self.split.test_days)
        return class_check.unknown_classes(days, own, self.bundle.vocabulary.classes)

    @property
    def warning(self) -> str:
        """What figures of the learned days are worth; empty where there are none."""
        days = ", ".join(map(str, self.learned))
        if not days:
            return ""
        if self.split.by_key:
            return (
                f"{days}: the model has learned rows of these days and was not trained under this random split, so "
                "that some of the rows it is judged by may be among them: the figures look better than those of new "
                "rows would"
            )
        return f"{days}: the model was trained on these days: their figures look better than those of new days would"
