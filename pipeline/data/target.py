"""What the labels of a log mean: clicks, the numbers of classes that have names, or numbers on a scale of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.data import columns
from schemas.errors import Refusal
from schemas.features import FeatureSpec, Objective

MAX_CLASSES = 1000  # a model has so many outputs a row; what has more is a key, or a number
MAX_MEAN = 2.0**11  # in deviations: values are counted in bins that wide
MOST_NAMES = 5  # of classes, in a line


@dataclass(frozen=True, slots=True)
class Target:
    """What a model's outputs are of. `classes`, as text and sorted, where there are some: class c is the label c.

    Numbers are learned as (label - shift) / scale: by mean and deviation of the training rows, in the bins that values
    are counted by. Labels and what is served have the log's own unit.
    """

    objective: Objective = "binary"
    classes: tuple[str, ...] = ()
    shift: float = 0.0
    scale: float = 1.0

    @property
    def num_outputs(self) -> int:
        """Of a model, for each row."""
        return len(self.classes) or 1

    @property
    def label_type(self) -> pa.DataType:
        """In which the store keeps labels."""
        return pa.uint8() if self.objective == "binary" else pa.float32()

    def to_json(self) -> dict[str, Any]:
        """What is written of it beside a vocabulary; nothing of clicks."""
        match self.objective:
            case "binary":
                return {}
            case "multiclass":
                return {"classes": [*self.classes]}
            case "regression":
                return {"label": {"shift": self.shift, "scale": self.scale}}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Target":
        """The inverse of `to_json`, which other keys may stand beside. Raises ValueError for what no log has."""
        if "classes" in written:
            found = cls("multiclass", tuple(written["classes"]))
        elif "label" in written:
            found = cls("regression", (), float(written["label"]["shift"]), float(written["label"]["scale"]))
        else:
            return CLICKS
        if found.objective == "multiclass" and (len(found.classes) < 2 or [*found.classes] != sorted({*found.classes})):
            raise ValueError(f"the classes {', '.join(found.classes)}, which are not two or more in their order")
        if not isfinite(found.shift) or not isfinite(found.scale) or found.scale <= 0:
            raise ValueError(f"labels of the shift {found.shift} and the scale {found.scale}")
        return found

    def name(self, label: float) -> str:
        """A label as people call it."""
        return repr(self.classes[int(label)]) if self.classes else f"{label:g}"


CLICKS = Target()


def of_classes(names: list[str], spec: FeatureSpec) -> Target:
    """Of those that the training rows have. Raises Refusal for fewer than two, and for so many that they are none."""
    if 2 <= len(names) <= MAX_CLASSES:
        return Target("multiclass", tuple(sorted(names)))
    if len(names) > MAX_CLASSES:
        found = f"{len(names):,} different values in the training rows"
        remedy = "name another column as the label, or set `objective` in the feature spec to regression for a number"
    else:
        found = f"one class, {names[0]!r}, in all training rows" if names else "no training row with a class"
        remedy = "choose other dates; check that late labels have arrived"
    raise Refusal(
        found=found, expected=f"2 to {MAX_CLASSES:,} classes to be told apart", where=_place(spec), remedy=remedy
    )


def of_numbers(mean: float, deviation: float, spec: FeatureSpec) -> Target:
    """Of the training rows. Raises Refusal for such that a float of 32 bits hardly tells apart."""
    if abs(mean) <= MAX_MEAN * deviation:
        return Target("regression", shift=mean, scale=deviation)
    raise Refusal(
        found=f"numbers around {mean:g} that differ from it by less than {1 / MAX_MEAN:.2%} of it",
        expected="numbers whose deviation is more than that of their mean",
        where=_place(spec),
        remedy=f"where the log is written, subtract about {mean:.3g} of each",
    )


def class_numbers(column: pa.ChunkedArray, classes: Sequence[str]) -> NDArray[np.float32]:
    """[R] which of the classes each row's is; -1 for one that is none of them, or null."""
    values, codes = columns.distinct(column)
    of_value = pc.index_in(values.cast(pa.string()), value_set=pa.array(classes, pa.string()))
    found = of_value.take(codes).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.float32)


def in_words(classes: Sequence[str]) -> str:
    names = ", ".join(map(repr, classes[:MOST_NAMES]))
    return f"{names} and {len(classes) - MOST_NAMES:,} more" if len(classes) > MOST_NAMES else names


def _place(spec: FeatureSpec) -> str:
    return f"data.features.label, column {spec.label!r}"
