"""Which of the training days a stage learns from, decided by the config alone, so that no log changes what is meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, PositiveInt, Tag, model_validator

from schemas.errors import Refusal
from schemas.features import FROZEN

Day = TypeVar("Day")


def _as_list(names: Any) -> Any:
    return (names,) if isinstance(names, str) else names


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])]


class SomeDays(BaseModel):
    """A part of the training days: exactly one of these."""

    model_config = ConfigDict(**FROZEN, json_schema_extra={"minProperties": 1, "maxProperties": 1})
    last: PositiveInt | None = Field(default=None, description="So many of the newest days that the log has.")
    before: Names | None = Field(
        default=None,
        min_length=1,
        description="All days before the first one of the stage of that name; of several, before the earliest.",
    )

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if (self.last is None) == (self.before is None):
            raise ValueError("exactly one of last: a number of days, before: the name of a stage")
        return self


def _kind(days: Any) -> str:
    return "all" if isinstance(days, str) else "some"


StageDays = Annotated[
    Annotated[Literal["all", "affordable"], Tag("all")] | Annotated[SomeDays, Tag("some")], Discriminator(_kind)
]


@dataclass(frozen=True, slots=True)
class Span:
    """Days counted back from the newest one: without the first `newest` of them, up to the `oldest`-th."""

    newest: int = 0
    oldest: int | None = None
    """None: up to the first day that there is."""

    def of(self, days: Sequence[Day]) -> tuple[Day, ...]:
        """Those of `days`, which are in order."""
        end = max(0, len(days) - self.newest)
        first = 0 if self.oldest is None else min(end, max(0, len(days) - self.oldest))
        return tuple(days[first:end])

    def overlaps(self, other: "Span") -> bool:
        """Whether a day may be in both, however many there are."""
        return max(self.newest, other.newest) < min(self.oldest or inf, other.oldest or inf)

    def __str__(self) -> str:
        return "all" if self == Span() else f"{self.oldest or 'all'}-to-{self.newest}"


def spans(days_of: Mapping[str, StageDays]) -> dict[str, Span]:
    """Stage -> its days. Raises Refusal for `before` in a circle or of no stage, and for days that leave it none."""
    return {name: _span(name, days, days_of) for name, days in days_of.items()}


def _span(name: str, days: StageDays, days_of: Mapping[str, StageDays]) -> Span:
    if isinstance(days, str):
        return Span()
    if days.last is not None:
        return Span(oldest=days.last)
    assert days.before
    return Span(newest=max(_num_days(name, later, days_of) for later in days.before))


def _num_days(name: str, later: str, days_of: Mapping[str, StageDays]) -> int:
    """How many days the `later` stage has, which are the newest: those of `name` end before them."""
    where = f"stages.{name}.days.before"
    if later not in days_of:
        others = ", ".join(one for one in days_of if one != name)
        raise Refusal(
            found=repr(later),
            expected=f"the name of another stage: {others or 'there is none'}",
            where=where,
            remedy="correct the name, or leave the key away, to train on all days",
        )
    its = days_of[later]
    if not isinstance(its, str) and its.last is not None:
        return its.last
    circle = _circle(name, later, days_of)
    if circle:
        raise Refusal(
            found=f"a circle: {' before '.join(circle)}",
            expected="a stage whose days begin somewhere",
            where=where,
            remedy=f"give one of them the newest days, as stages.{circle[-1]}.days={{last: 7}}",
        )
    raise Refusal(
        found=f"{later!r}, whose days begin with the first one",
        expected=f"a stage that leaves days to {name!r}, which come before its own",
        where=where,
        remedy=f"give that one the newest days alone, as stages.{later}.days={{last: 7}}",
    )


def _circle(name: str, later: str, days_of: Mapping[str, StageDays]) -> list[str]:
    """The stages of the circle that `name` leads into by `later`, the first once more as the last; empty: none."""
    way = [name]
    while later not in way:
        way.append(later)
        its = days_of.get(later)
        if its is None or isinstance(its, str) or not its.before:
            return []
        later = its.before[0]
    return [*way[way.index(later) :], later]
