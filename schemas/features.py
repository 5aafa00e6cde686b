"""FeatureSpec: the columns of a click log and how each becomes ids.

A *field* is a column, a *feature* is one id of it. A row of the log is one impression.
"""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from schemas.errors import Refusal

# No number is infinite: JSON, in which bundles and runs keep a config, has no such number and would give back null.
FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
Share = Annotated[float, Field(gt=0, lt=1)]


class VocabularyEncoder(BaseModel):
    """Every value seen at least `min_count` times in training gets an id of its own; the rest share one."""

    model_config = FROZEN
    type: Literal["vocabulary"] = "vocabulary"
    min_count: int = Field(default=1, ge=1, description="Rows of the training days a value must occur in.")


class HashEncoder(BaseModel):
    """A value's id is its hash modulo `num_buckets`: nothing to count, unseen values included."""

    model_config = FROZEN
    type: Literal["hash"]
    num_buckets: int = Field(ge=1, description="Ids of the field; values that meet in one share its row.")


class LogBucketEncoder(BaseModel):
    """sign(x) (3 + floor(ln(|x|)^2)) for |x| > 2, else sign(x) floor(|x|): small counts apart, then growing buckets.

    The transform of the Criteo challenge's winners (Juan, Zhuang, Chin 2014), for negative numbers too. Buckets seen at
    least `min_count` times get ids of their own.
    """

    model_config = FROZEN
    type: Literal["log_bucket"]
    min_count: int = Field(default=1, ge=1, description="Rows of the training days a bucket must occur in.")


class QuantileBucketEncoder(BaseModel):
    """At most `num_buckets` buckets that hold about equally many training rows; ties can make them fewer."""

    model_config = FROZEN
    type: Literal["quantile_bucket"]
    num_buckets: int = Field(default=32, ge=2, description="Buckets, at most.")


class ScaleEncoder(BaseModel):
    """One id per field, its row multiplied by the scaled value: (x - mean) / deviation, or (x - min) / (max - min)."""

    model_config = FROZEN
    type: Literal["scale"]
    to: Literal["standard", "unit"] = Field(
        default="standard", description="Over the training rows. standard: mean 0, deviation 1. unit: from 0 to 1."
    )


class CategoricalField(BaseModel):
    """One value a row, a string, an integer or a boolean; null is the field's `missing` feature."""

    model_config = FROZEN
    name: str = Field(min_length=1, description="Column of the log.")
    kind: Literal["categorical"]
    encoder: Annotated[VocabularyEncoder | HashEncoder, Field(discriminator="type")] = VocabularyEncoder()


class MultiValuedField(BaseModel):
    """A list of values a row. The field's vector is the sum or mean of theirs; null and the empty list are missing."""

    model_config = FROZEN
    name: str = Field(min_length=1, description="Column of the log.")
    kind: Literal["multi_valued"]
    encoder: Annotated[VocabularyEncoder | HashEncoder, Field(discriminator="type")] = VocabularyEncoder()
    combine: Literal["sum", "mean"] = Field(default="mean", description="With `sum` a long list weighs more.")


class NumericField(BaseModel):
    """A finite number a row, in buckets or scaled; null is the field's `missing` feature."""

    model_config = FROZEN
    name: str = Field(min_length=1, description="Column of the log.")
    kind: Literal["numeric"]
    encoder: Annotated[LogBucketEncoder | QuantileBucketEncoder | ScaleEncoder, Field(discriminator="type")] = (
        QuantileBucketEncoder(type="quantile_bucket")
    )


Objective = Literal["binary", "multiclass", "regression"]
FeatureField = Annotated[CategoricalField | MultiValuedField | NumericField, Field(discriminator="kind")]
WHY_NO_LABEL = {
    "weight": "rows without a click would weigh nothing, and every model would learn that all is clicked",
    "group": "GAUC compares clicks with other rows of their group, and no group would hold both",
    "row_key": "0 and 1 name no row, and of rows to be scored the label is not known",
}


class FeatureSpec(BaseModel):
    """What a click log holds. A column that is neither named nor `ignored` is refused, so that none is forgotten.

    One that is a field and no more may begin in the midst of the log: in the rows of older files it is null.
    """

    model_config = FROZEN
    label: str = Field(description="Column of what is to be predicted; see `objective`.")
    objective: Objective = Field(
        default="binary",
        description="What the label is. binary: 0 or 1, where 1 is a click. multiclass: one of several classes, a "
        "string, an integer or a boolean. regression: a finite number. None of them may be null.",
    )
    partition: str = Field(
        default="date",
        description="Hive partition key of the days: `date` in `date=2026-11-19/`, if `data.partitioning` is by day.",
    )
    weight: str | None = Field(default=None, description="Column of non-negative row weights.")
    group: str | None = Field(
        default=None,
        description="Column whose groups GAUC compares rows within, say the user; null is one more group. Classes and "
        "numbers have no GAUC, and pass over it.",
    )
    row_key: str | None = Field(
        default=None, description="Column that names a row, carried into scored output; no nulls."
    )
    ignored: tuple[str, ...] = Field(default=(), description="Columns that are no features.")
    fields: tuple[FeatureField, ...] = Field(min_length=1, description="The columns that models read, one entry each.")

    @model_serializer(mode="wrap")
    def _as_before_where_it_is_of_clicks(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A spec that was written before there were other objectives says the same, and names go by its digest."""
        written: dict[str, Any] = write(self)
        return {key: one for key, one in written.items() if key != "objective" or one != "binary"}

    @model_validator(mode="after")
    def _the_other_roles_can_be_played_by_their_columns(self) -> Self:
        lists = [field.name for field in self.fields if field.kind == "multi_valued"]
        for role in ("weight", "group", "row_key"):
            column = getattr(self, role)
            if column is not None and column == self.label:
                raise Refusal(
                    found=f"{column!r}, which is the label",
                    expected=f"a {role} that is not the label: {WHY_NO_LABEL[role]}",
                    where=role,
                    remedy="name another column, or leave the key away",
                )
            if column in lists:
                raise Refusal(
                    found=f"{column!r} is a multi_valued field, a list a row",
                    expected=f"a {role} of one value a row",
                    where=role,
                    remedy="name another column, or leave the key away",
                )
        return self

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> Self:
        roles = Counter(field.name for field in self.fields)
        roles.update({self.label: 1, self.partition: 1})
        roles.update(set(self.ignored))
        twice = sorted(name for name, count in roles.items() if count > 1)
        if twice:
            raise Refusal(
                found=f"columns with more than one role: {', '.join(twice)}",
                expected="each column once, as label, partition, one of `ignored` or a field",
                where="fields" if any(field.name in twice for field in self.fields) else "ignored",
                remedy="name each once: what is known before the click is a field, other columns are `ignored`",
            )
        return self

    @property
    def counted(self) -> tuple[FeatureField, ...]:
        """The columns whose values are counted before a model is trained: the fields, and a label that is no click."""
        match self.objective:
            case "binary":
                return self.fields
            case "multiclass":
                return (*self.fields, CategoricalField(name=self.label, kind="categorical"))
            case "regression":
                scaled = NumericField(name=self.label, kind="numeric", encoder=ScaleEncoder(type="scale"))
                return (*self.fields, scaled)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that Nightjar reads from the files: all but the partition, which the path holds."""
        named = [self.label, self.weight, self.group, self.row_key, *(field.name for field in self.fields)]
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def scoring_columns(self) -> tuple[str, ...]:
        """Columns that are read of rows to be scored, whose labels may not be known yet."""
        return tuple(dict.fromkeys([*([self.row_key] if self.row_key else []), *self.feature_columns]))

    @property
    def category_columns(self) -> tuple[str, ...]:
        """Columns whose values are told apart, few of them in many rows as a rule: a key of each row is none."""
        numbers = {field.name for field in self.fields if field.kind == "numeric"}
        named = [*self.feature_columns, *([self.group] if self.group else [])]
        no_category = {*numbers, self.label, self.weight}
        classes = [self.label] if self.objective == "multiclass" else []
        return tuple(dict.fromkeys([*(name for name in named if name not in no_category), *classes]))

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """Columns a served model needs, in the order of the fields."""
        return tuple(field.name for field in self.fields)
