"""DataConfig: where the click log lies and how its rows are divided."""

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, PositiveInt, Tag, model_validator

from schemas.click_log import OnUnknown
from schemas.errors import Refusal
from schemas.features import FROZEN, FeatureSpec, Share
from schemas.folder_path import FolderPath, Level
from schemas.locations import Location, StorageUri, absolute
from schemas.objective import only_of_clicks
from schemas.partitioning import BY_DAY, Partitioning, PathFolders, Timezone

OF_NO_EFFECT = {"unknown_columns", "partitioning", "timezone"}
"""Keys of a DataConfig that change no row, and so no name of what is made of rows: which they are says the manifest."""


class DateSplit(BaseModel):
    """Train on days, hold out later ones. By default the newest day is held out and all before it are trained on."""

    model_config = FROZEN
    by: Literal["date"] = "date"
    test_dates: tuple[datetime.date, ...] = Field(default=(), description="Held-out days; none given: the newest.")
    validation_dates: tuple[datetime.date, ...] = Field(
        default=(),
        description="Days between those that are trained on and the held-out ones, for early stopping, calibration and "
        "sweeps to go by in the place of `data.validation_share`.",
    )
    train_from: datetime.date | None = Field(default=None, description="First training day; none: the oldest.")
    train_to: datetime.date | None = Field(default=None, description="Last training day; none: before the others.")

    @model_validator(mode="after")
    def _training_precedes_the_held_out_days(self) -> Self:
        if self.train_to and self.test_dates and self.train_to >= min(self.test_dates):
            raise ValueError(f"train_to {self.train_to} is not before the first held-out day {min(self.test_dates)}")
        if self.train_to and self.validation_dates and self.train_to >= min(self.validation_dates):
            raise ValueError(
                f"validation day {min(self.validation_dates)} is among the training days, which end at {self.train_to}"
            )
        if self.validation_dates and self.test_dates and max(self.validation_dates) >= min(self.test_dates):
            raise ValueError(
                f"validation day {max(self.validation_dates)} is not before the first held-out day "
                f"{min(self.test_dates)}"
            )
        if self.train_from and self.train_to and self.train_from > self.train_to:
            raise ValueError(f"train_from {self.train_from} is after train_to {self.train_to}")
        return self


class RandomSplit(BaseModel):
    """Hold out the rows whose hash of the row key falls into the lowest `test_share`: the same rows at every call."""

    model_config = FROZEN
    by: Literal["random"]
    row_key: str = Field(description="Column that names a row.")
    test_share: Share = Field(default=0.2, description="Share of the rows that are held out.")
    seed: int = Field(default=0, ge=0, description="Another seed holds out other rows.")


def _by(split: Any) -> str:
    """Which split is meant: by date, where nothing says otherwise."""
    return str(split.get("by", "date") if isinstance(split, dict) else getattr(split, "by", "date"))


class DataConfig(BaseModel):
    """Where the click log lies and how its rows are divided."""

    model_config = FROZEN
    logs_uri: StorageUri = Field(description="Folder of the log, any fsspec URI; it holds what `partitioning` says.")
    partitioning: Partitioning = Field(
        default=BY_DAY, description="How rows are divided into days: by folders, or by a column of times."
    )
    timezone: Timezone = Field(
        default="UTC",
        description="Where the log's days begin at midnight. Of folders it says what their writer went by: which hours "
        "a day has, and when it has ended. Of a column of times it decides the day of a row.",
    )
    features: Annotated[FeatureSpec, Location(absolute)] = Field(
        description="The columns; in YAML also the path of a file that holds them."
    )
    split: Annotated[Annotated[DateSplit, Tag("date")] | Annotated[RandomSplit, Tag("random")], Discriminator(_by)] = (
        DateSplit()
    )
    rows_per_part: PositiveInt = Field(default=1_000_000, description="Rows of a file of the encoded store, at most.")
    validation_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the training rows, drawn at random, that early stopping, calibration and sweeps go by.",
    )
    negative_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the training rows without a click that is kept, drawn at random (He et al. 2014); what "
        "models return is corrected for it.",
    )
    max_bad_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of a day's rows that may break the contract, which are then left out and written to "
        "`quarantine/` in the work folder with the reason; more are refused. 0: the first one is refused. As large a "
        "share may have classes that the model does not know.",
    )

    unknown_columns: OnUnknown = Field(
        default="refuse",
        description="What is done about a column of the log that is neither read nor `ignored`. warn: say so, on the "
        "night's page and in the run too, and leave it aside; results stay as they are.",
    )

    @model_validator(mode="after")
    def _validation_rows_are_days_or_a_share(self) -> Self:
        if self.validation_share and self._validation_dates:
            raise Refusal(
                found=f"validation_share {self.validation_share:g}, and split.validation_dates "
                + ", ".join(map(str, self._validation_dates)),
                expected="one name for the validation rows",
                where="validation_share",
                remedy="choose one of them: set validation_share to 0, or leave split.validation_dates away",
            )
        return self

    @model_validator(mode="after")
    def _only_clicks_are_thinned_out(self) -> Self:
        only_of_clicks(self.features.objective, "negative_share", self.negative_share, 1.0)
        return self

    @property
    def _validation_dates(self) -> tuple[datetime.date, ...]:
        return self.split.validation_dates if isinstance(self.split, DateSplit) else ()

    @property
    def has_validation(self) -> bool:
        """Whether some rows are neither trained on nor held out for the verdict."""
        return bool(self.validation_share or self._validation_dates)

    @property
    def folder_path(self) -> FolderPath:
        """The folders of a log that is divided by them."""
        if isinstance(self.partitioning, PathFolders):
            return FolderPath.of(self.partitioning.path)
        return FolderPath((Level(f"{self.features.partition}=", "YYYY-MM-DD"),))

    @model_validator(mode="after")
    def _the_split_goes_by_a_column_that_is_read(self) -> Self:
        if isinstance(self.split, RandomSplit):
            name = self.split.row_key
            if name not in self.features.columns:
                raise Refusal(
                    found=f"{name!r}, which is no column that the feature spec reads",
                    expected=f"one of {', '.join(self.features.columns)}",
                    where="split.row_key",
                    remedy=f"correct the name, or name it as `row_key: {name}` in the feature spec, so that it is read",
                )
            if any(field.name == name and field.kind == "multi_valued" for field in self.features.fields):
                raise Refusal(
                    found=f"{name!r} is a multi_valued field, a list a row",
                    expected="a column that names a row, of one value each",
                    where="split.row_key",
                    remedy="name another column, as `row_key` in the feature spec if no field has it",
                )
        return self
