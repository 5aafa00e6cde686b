"""Values: what a key's values are drawn from in a sweep."""

import random
from math import exp, log
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, model_validator

from schemas.features import FROZEN

DIGITS = 4  # that a drawn number has: more would tell no two models apart, and a person has to read them
AT_BOUND = 0.05


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] >= bounds[1]:
        raise ValueError(f"the lower bound first and below the upper one: {bounds[0]:g} is not below {bounds[1]:g}")
    return bounds


def _positive(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] <= 0:
        raise ValueError(f"bounds above 0, since their logarithm is drawn: {bounds[0]:g} is not")
    return bounds


Bounds = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_rising)]
PositiveBounds = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_positive), AfterValidator(_rising)]
WholeBounds = Annotated[tuple[int, int], AfterValidator(_rising)]


class Values(BaseModel):
    """What a key's values are drawn from: exactly one of these."""

    model_config = ConfigDict(**FROZEN, json_schema_extra={"minProperties": 1, "maxProperties": 1})
    choice: tuple[JsonValue, ...] | None = Field(
        default=None, min_length=1, description="One of these, as likely each."
    )
    uniform: Bounds | None = Field(default=None, description="A number between these.")
    log_uniform: PositiveBounds | None = Field(
        default=None, description="A number between these, as likely to lie in one power of ten as in another."
    )
    integer: WholeBounds | None = Field(default=None, description="A whole number from the first to the second.")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if len(self.model_fields_set) != 1 or any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError(f"exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def bounds(self) -> tuple[float, float] | None:
        """None of a choice."""
        return self.uniform or self.log_uniform or self.integer

    def place(self, value: Any) -> float:
        """Where a drawn value lies, from 0 to 1, in the scale that it is drawn in."""
        if self.choice is not None:
            return self.choice.index(value) / max(1, len(self.choice) - 1)
        assert self.bounds is not None
        low, high, at = (log(one) if self.log_uniform else float(one) for one in (*self.bounds, value))
        return (at - low) / (high - low)

    def bound_near(self, value: Any) -> float | None:
        """The bound that a drawn value lies at, within a twentieth of the scale; None: at neither."""
        if self.bounds is None:
            return None
        place = self.place(value)
        return self.bounds[0] if place <= AT_BOUND else self.bounds[1] if place >= 1 - AT_BOUND else None

    def draw(self, generator: random.Random) -> Any:
        if self.choice is not None:
            return generator.choice(self.choice)
        if self.integer is not None:
            return generator.randint(*self.integer)
        if self.uniform is not None:
            return _rounded(generator.uniform(*self.uniform), self.uniform)
        assert self.log_uniform is not None
        low, high = self.log_uniform
        return _rounded(exp(generator.uniform(log(low), log(high))), self.log_uniform)


def _rounded(value: float, bounds: tuple[float, float]) -> float:
    return min(max(float(f"{value:.{DIGITS}g}"), bounds[0]), bounds[1])
