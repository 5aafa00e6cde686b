"""How well a column alone tells the label: so well, and it was written after the click."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.data import columns
from pipeline.evaluation.metrics import Sums
from pipeline.intake.column import Column
from schemas.features import QuantileBucketEncoder

FOLDS = 5
LEAST_OF_A_CLASS = 20  # rows, below which nothing is said of how well a column tells it
NUMBER_BINS = 100
NUMERIC_BINS = QuantileBucketEncoder(type="quantile_bucket").num_buckets
PRIOR_ROWS = 10.0  # that a value counts for the mean of all, beside its own: a rare one tells little
TOO_GOOD = 0.95


@dataclass(frozen=True, slots=True)
class Label:
    """Of the sample's rows: which were clicked."""

    is_click: NDArray[np.bool_]

    @property
    def is_enough(self) -> bool:
        clicks = int(self.is_click.sum())
        return min(clicks, len(self.is_click) - clicks) >= LEAST_OF_A_CLASS


def auc_alone(column: Column, label: Label) -> float | None:
    """AUC of the share of clicks that each value has among other rows; None where too few rows would tell.

    A value's own row does not count, so that a rare value tells nothing by being rare. A number goes by its bin of
    equal rows, a list by its length; what is missing is a value, too.
    """
    return _auc(_codes(column), label)


def gain_of_values(column: Column, label: Label) -> float:
    """How much more of AUC a number has value by value than in NUMERIC_BINS of equal rows; 0 where nothing tells.

    Of a quantity neighbours are alike, and little is gained; of names of things that are numbers they are not.
    """
    apart, binned = _auc(_by_value(column), label), _auc(_by_bin(column, NUMERIC_BINS), label)
    return apart - binned if apart is not None and binned is not None else 0.0


def _auc(codes: NDArray[np.int64], label: Label) -> float | None:
    """Of the share of clicks among other rows of the same code."""
    if not label.is_enough:
        return None
    fold = np.random.default_rng(0).integers(0, FOLDS, len(codes))
    num_codes = int(codes.max(initial=0)) + 1
    rows = np.zeros((FOLDS, num_codes))
    clicks = np.zeros((FOLDS, num_codes))
    np.add.at(rows, (fold, codes), 1)
    np.add.at(clicks, (fold, codes), label.is_click)
    other_rows, other_clicks = rows.sum(0) - rows, clicks.sum(0) - clicks
    rate = label.is_click.mean()
    p = (other_clicks + PRIOR_ROWS * rate) / (other_rows + PRIOR_ROWS)
    scores = p[fold, codes]
    return Sums.of(np.log(scores / (1 - scores)), label.is_click.astype(np.float32)).metrics().auc


def goes_by_nulls(column: Column, label: Label) -> bool:
    """Whether it is null exactly where there was no click, or exactly where there was one."""
    if not label.is_enough:
        return False
    is_null = pc.is_null(column.values, nan_is_null=True).to_numpy()
    return bool(np.array_equal(is_null, ~label.is_click) or np.array_equal(is_null, label.is_click))


def _codes(column: Column) -> NDArray[np.int64]:
    """Which of its values each row has, from 0."""
    if column.has_lists:
        return np.asarray(pc.list_value_length(columns.lists(column.values)).fill_null(0).to_numpy(), np.int64)
    is_by_value = not column.is_number or column.num_distinct <= NUMBER_BINS
    return _by_value(column) if is_by_value else _by_bin(column, NUMBER_BINS)


def _by_value(column: Column) -> NDArray[np.int64]:
    encoded = column.plain.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.cast(pa.int64()).fill_null(len(encoded.dictionary)).to_numpy())


def _by_bin(column: Column, num_bins: int) -> NDArray[np.int64]:
    """What is missing has a bin of its own."""
    edges = np.unique(np.quantile(column.numbers, np.linspace(0, 1, num_bins + 1)[1:-1]))
    numbers = column.plain.cast(pa.float64(), safe=False)
    binned = np.searchsorted(edges, numbers.fill_null(0).to_numpy(), side="right")
    return np.where(numbers.is_null().to_numpy(), len(edges) + 1, binned)
