"""Rows of a class that the model does not know, where the config lets a share of them be left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

MAX_NAMES = 5  # in words


@dataclass(frozen=True, slots=True, order=True)
class UnknownClass:
    """How many rows of a day have a class that no training row has: nothing is said of them."""

    day: date
    name: str
    num_rows: int

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "UnknownClass":
        return cls(**{**written, "day": date.fromisoformat(written["day"])})

    def to_json(self) -> dict[str, Any]:
        return {"day": str(self.day), "name": self.name, "num_rows": self.num_rows}


def classes_in_words(found: Sequence[UnknownClass]) -> str:
    """How many rows of which class and day are left out; empty where none is."""
    if not found:
        return ""
    told = ", ".join(f"{one.num_rows:,} of {one.name!r} on {one.day}" for one in sorted(found)[:MAX_NAMES])
    more = f" and {len(found) - MAX_NAMES:,} more" if len(found) > MAX_NAMES else ""
    num_rows = sum(one.num_rows for one in found)
    return f"unknown classes: {num_rows:,} row{'s' * (num_rows != 1)} left out, {told}{more}"
