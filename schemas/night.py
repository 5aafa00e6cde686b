"""NightConfig: what a night does beyond a retrain, and by which rules it keeps or moves the champion."""

import json
from datetime import date
from typing import Literal, Self

from pydantic import (
    BaseModel,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from schemas.errors import Refusal
from schemas.features import FROZEN, Share
from schemas.transfer import TransferConfig


class GateConfig(BaseModel):
    """What a candidate must show on the held-out rows before it may serve; each rule is judged, and each one said."""

    model_config = FROZEN
    ne_margin: NonNegativeFloat = Field(
        default=0.001,
        description="The candidate's NE must not be above the champion's, and the upper bound of its interval not by "
        "more than this.",
    )
    max_ne: PositiveFloat | None = Field(
        default=None,
        description="NE must be below, if set. 1 is predicting the held-out rows' own mean, which nobody knows "
        "beforehand. In any case NE must not be clearly above what the base rate of the training days has on the same "
        "rows.",
    )
    min_auc: float = Field(default=0.5, ge=0, le=1, description="AUC must be above.")
    calibration: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.8, 1.25), description="Band of the sum of probabilities over that of clicks."
    )
    max_auc_error: PositiveFloat = Field(default=0.001, description="The AUC's own error, at most.")
    min_rows: PositiveInt = Field(default=1000, description="Held-out rows, at least.")
    min_positives: PositiveInt = Field(default=100, description="Clicks among them, at least.")
    slices: tuple[str, ...] = Field(default=(), description="Columns of the log; each value is a slice of the rows.")
    slice_margin: PositiveFloat = Field(
        default=0.02, description="In no slice may NE be above the champion's by more than this, clearly."
    )
    slice_min_rows: PositiveInt = Field(default=1000, description="Smaller slices, and those of one class, are passed.")
    golden_rows: NonNegativeInt = Field(
        default=64, description="Rows that the registered model, loaded in a process of its own, must score alike."
    )
    num_replicates: PositiveInt = Field(default=200, description="Draws of the bootstrap.")
    confidence: Share = Field(
        default=0.95, description="Share of such intervals that hold the true value; outside them is clearly."
    )

    @model_validator(mode="after")
    def _the_band_holds_something(self) -> Self:
        if self.calibration[0] >= self.calibration[1]:
            raise Refusal(
                found=f"[{self.calibration[0]:g}, {self.calibration[1]:g}], of which the first is not below the second",
                expected="the least and the most that predicted clicks over actual ones may be",
                where="calibration",
                remedy="write the lower bound first, for example [0.7, 1.4]",
            )
        return self


class QualityConfig(BaseModel):
    """Bounds on the new day, most of them against the days before it. None leaves a bound away.

    A day beyond some of them is broken, as `on_breach` has it; beyond the others it is unusual, which is told and stops
    nothing.
    """

    model_config = FROZEN
    on_breach: Literal["stop", "warn"] = Field(
        default="stop",
        description="What a broken day does. stop: exit 4 before anything is trained. warn: say so, and go on.",
    )
    trailing_days: PositiveInt = Field(
        default=7,
        description="Days before it that a day is held against; of a longer `night.period`, pools of as many days as "
        "it has.",
    )
    min_rows: PositiveInt = Field(default=1, description="Rows of the day, at least; fewer are broken.")
    rows_ratio: tuple[float, float] | None = Field(
        default=(0.25, 4.0),
        description="Rows over the mean of the trailing days; outside, or with fewer clicks than the lower one says, "
        "broken.",
    )
    label_rate_ratio: tuple[float, float] | None = Field(
        default=(0.5, 2.0), description="Share of clicks over that of the trailing days; outside, broken."
    )
    min_filled_ratio: float | None = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of rows with a value in a column over that of the trailing days; below, the column is as "
        "good as empty: broken.",
    )
    max_null_increase: float | None = Field(
        default=0.2,
        gt=0,
        description="Rise of a column's share of nulls above the trailing days', at most; more is unusual.",
    )
    max_unseen_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of a field's values that the champion's vocabulary lacks, at most; more is unusual.",
    )
    max_psi: float | None = Field(
        default=0.5,
        gt=0,
        description="Population stability index of a field against the trailing days that is never unusual; above 0.25 "
        "is a shift by custom. Fields whose values come and go are above it every day, so see the next.",
    )
    usual_spreads: PositiveFloat | None = Field(
        default=4.0,
        description="A PSI above `max_psi` is unusual by so many spreads (standard deviations, at least a tenth of the "
        "mean) above the mean of the field's PSIs on the trailing days, each against those before it; rows are by so "
        "many off theirs. None: `max_psi` alone counts.",
    )


class EvictionConfig(BaseModel):
    """Which values `nightjar rebuild` drops of the vocabulary: unseen and rare."""

    model_config = FROZEN
    unseen_days: PositiveInt = Field(default=30, description="A value seen on any of so many newest days stays.")
    max_count: PositiveInt = Field(default=100, description="A value counted more often than this stays.")


class RetentionConfig(BaseModel):
    """What stays of earlier nights when one is over, or by `nightjar prune`. None: all of it.

    The champion, the one before it, what any alias names and what the next night starts from stay in any case.
    """

    model_config = FROZEN
    runs: NonNegativeInt | None = Field(
        default=3,
        description="Newest of the runs that were left unfinished whose checkpoints stay, for their command to go on "
        "from. Of a finished run the results alone stay; none: its tables too.",
    )
    encoded_days: NonNegativeInt | None = Field(
        default=3,
        description="Days before the next night's window whose encoded rows stay, and the counts of their values.",
    )
    versions: NonNegativeInt | None = Field(
        default=3, description="Newest versions of the registered model without an alias that stay, with their files."
    )
    quarantine_days: NonNegativeInt | None = Field(
        default=30, description="Newest days with bad rows whose rows stay in `quarantine/`."
    )


class RowsPeriod(BaseModel):
    """So many rows, of the newest whole days."""

    model_config = FROZEN
    rows: PositiveInt = Field(description="At least so many.")


class NightConfig(BaseModel):
    """What `nightjar nightly` does around a retrain; of no use to `train`."""

    model_config = FROZEN
    start: Literal["warm", "cold", "both"] = Field(
        default="warm",
        description="warm: the champion goes on, on the days that it has not learned. cold: the whole plan over the "
        "window, from nothing. both: the better of the two. Without a champion, cold.",
    )
    period: Literal["day", "week", "month"] | RowsPeriod = Field(
        default="day",
        description="What a night holds out. day: its day. For logs of few clicks its week (from Monday) or its month, "
        "up to that day, or `{rows: N}`: the newest whole days up to it that hold at least N rows. Window and history "
        "end before them; their profile is that of all their rows, held against as many days together.",
    )
    window_days: PositiveInt = Field(
        default=7, description="Calendar days before the held-out ones whose rows are trained on."
    )
    history_days: PositiveInt | None = Field(
        default=None,
        description="Calendar days before the window. In a cold start they are those of the stages that others start "
        "from, as FM is, and the window is left to the others; where the log has none of them, the window is "
        "everyone's. Stages with `days` of their own keep these, of history and window together. None: no history.",
    )
    transfer: TransferConfig = Field(
        default=TransferConfig(w=True, w0=True, accumulators=1.0, dense=True),
        description="What a warm start takes over of the champion, whose days end before those that it goes on with.",
    )
    epochs: PositiveFloat | None = Field(
        default=None,
        description="Passes of a warm start over the days that are new to it; none: as many as its stage has, or one "
        "where that leaves them open.",
    )
    reencode: bool = Field(
        default=False,
        description="Encode the window's days again, so that values which became known since have their own rows in "
        "them; else a day stays as it was encoded when it was new.",
    )
    refresh: bool = Field(
        default=False, description="An accepted candidate learns the held-out days too before it serves."
    )
    complete: Literal["success_file", "delay", "later_day"] = Field(
        default="delay",
        description="When a day is complete. success_file: with a `_SUCCESS` file in its folder, or in each of its "
        "hours'. delay: after `label_delay_days`. later_day: when the log has a later one. Where folders tell hours, "
        "these two want all hours of the day too.",
    )
    label_delay_days: NonNegativeInt = Field(default=1, description="Days until a day's labels have all arrived.")
    lease_seconds: PositiveFloat = Field(
        default=120.0,
        le=7 * 86_400,
        description="A night that has not renewed its lease for so long is taken for dead.",
    )
    wait_seconds: float = Field(
        default=0.0,
        ge=0,
        description="How long a command waits for the lease of one that seems to be dead, before it exits 3: more than "
        "`lease_seconds`, and a night that is begun again after its machine was lost outlasts the lease of the lost "
        "one. One that renews its lease lives, and is not waited for.",
    )
    gate: GateConfig = GateConfig()
    quality: QualityConfig = QualityConfig()
    eviction: EvictionConfig = EvictionConfig()

    @field_validator("transfer")
    @classmethod
    def _the_champion_has_not_seen_the_new_days(cls, transfer: TransferConfig) -> TransferConfig:
        return TransferConfig(**dict(transfer.resolved(has_seen_the_rows=False)))


def setting(section: GateConfig | QualityConfig, key: str) -> str:
    """A key of the section as it stands in a config: `night.gate.min_rows: 1000`."""
    name = "gate" if isinstance(section, GateConfig) else "quality"
    return f"night.{name}.{key}: {json.dumps(section.model_dump(mode='json')[key])}"


def day_of(text: str) -> date:
    """The day that somebody has typed. Raises Refusal."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refusal(
            found=repr(text), expected="a day, YYYY-MM-DD, or auto", where="--date", remedy="write the day so"
        ) from error
