from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scored_rows import NAMES, OBJECTIVES

from pipeline.evaluation import slices as module
from pipeline.evaluation.bootstrap import Bootstrap, compare
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.slices import Pair, slices
from schemas.errors import Refusal

N = 600
RANDOM = np.random.default_rng(0)
LOGITS, CHAMPION = RANDOM.normal(-1, 1, (2, N))
LABELS = (RANDOM.random(N) < 0.3).astype(float)
WEIGHTS = RANDOM.random(N)
DRAWS = Bootstrap(num_replicates=5, seed=3, confidence=0.9)
SITES = RANDOM.choice(["news", "shop", "games", None], N, p=[0.5, 0.3, 0.15, 0.05]).tolist()  # type: ignore[arg-type]


def sliced(columns: pa.Table, min_rows: int = 1, champion: NDArray[Any] | None = CHAMPION, weights: Any = None):
    rows = columns.num_rows
    pair = Pair(LOGITS[:rows], None if champion is None else champion[:rows], LABELS[:rows], weights)
    return slices(columns, pair, min_rows, DRAWS)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["rows", "weighted"])
def test_a_slice_is_what_its_rows_alone_come_to(weights: NDArray[Any] | None):
    found = sliced(pa.table({"site": SITES}), weights=weights)
    assert [part.value for part in found] == ["news", "shop", "games", "missing"]
    for part in found:
        rows = [i for i, site in enumerate(SITES) if (site or "missing") == part.value]
        w = None if weights is None else weights[rows]
        assert part.column == "site"
        assert part.rows == len(rows)
        assert part.candidate == Sums.of(LOGITS[rows], LABELS[rows], w).metrics()
        assert part.champion == Sums.of(CHAMPION[rows], LABELS[rows], w).metrics()
        assert part.change == compare(LOGITS[rows], CHAMPION[rows], LABELS[rows], w, DRAWS).ne
        assert part.change is not None
        assert part.change.estimate == pytest.approx(part.candidate.ne - part.champion.ne)


def test_slices_of_a_column_hold_each_row_once():
    found = sliced(pa.table({"site": SITES, "hour": np.arange(N) % 24}))
    for column in ("site", "hour"):
        assert sum(part.rows for part in found if part.column == column) == N
        assert sum(part.candidate.positives for part in found if part.column == column) == LABELS.sum()


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.chunked_array([["b", "b"], ["b", "a", None, "a"]]), ["b", "a", "missing"]),
        (pa.chunked_array([["b", "b"], ["b", "a", None, "a"]], pa.large_string()), ["b", "a", "missing"]),
        (pa.chunked_array([[True, True, True, None, False, False]]), ["true", "false", "missing"]),
        (pa.chunked_array([[-5, -5, None], [-5, 2**40, 2**40]]), ["-5", "1099511627776", "missing"]),
    ],
    ids=["string", "large string", "boolean", "integer"],
)
def test_every_type_of_category_is_sliced_and_as_a_dictionary_alike(column: pa.ChunkedArray, values: list[str]):
    # Chunks of a dictionary can number their values differently.
    as_dictionary = pa.chunked_array([chunk.dictionary_encode() for chunk in column.chunks])
    plain, encoded = sliced(pa.table({"x": column})), sliced(pa.table({"x": as_dictionary}))
    assert [(part.value, part.rows) for part in plain] == list(zip(values, [3, 2, 1], strict=True))
    assert plain == encoded


def test_small_values_are_left_out_and_one_of_just_enough_rows_is_not():
    counts = Counter(site or "missing" for site in SITES)
    least = counts["games"]
    assert [part.value for part in sliced(pa.table({"site": SITES}), min_rows=least)] == ["news", "shop", "games"]
    assert [part.value for part in sliced(pa.table({"site": SITES}), min_rows=least + 1)] == ["news", "shop"]


def test_of_many_values_only_the_largest_are_judged(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_SLICES", 2)
    ids = [1] * 3 + [2] * 5 + [3] + [4] * 5
    assert [part.value for part in sliced(pa.table({"ad": ids}))] == ["2", "4"]


def test_without_a_champion_there_is_nothing_to_compare_with():
    found = sliced(pa.table({"site": SITES}), champion=None)
    assert len(found) == 4
    assert all(part.champion is None and part.change is None and part.candidate.ne for part in found)


def test_a_slice_of_one_class_has_no_change():
    [clicked, not_clicked] = sorted(sliced(pa.table({"y": LABELS == 1})), key=lambda part: part.value == "false")
    assert clicked.change is None
    assert not_clicked.change is None
    assert clicked.candidate.positives == clicked.rows
    assert not_clicked.candidate.positives == 0


def test_no_rows_and_no_columns_have_no_slices():
    assert sliced(pa.table({"site": pa.array([], pa.string())})) == ()
    for nothing in (pa.table({}), pa.table({"site": SITES}).select([])):
        assert slices(nothing, Pair(LOGITS, CHAMPION, LABELS), 1, DRAWS) == ()


@pytest.mark.parametrize(
    "column",
    [pa.array([0.5]), pa.array([["a"]]), pa.array([0.5]).dictionary_encode(), pa.array([1], pa.timestamp("s"))],
    ids=["float", "list", "dictionary of floats", "time"],
)
def test_a_column_whose_values_are_no_categories_is_refused(column: pa.Array):
    with pytest.raises(Refusal) as refused:
        sliced(pa.table({"price": column}))
    assert refused.value.where == "night.gate.slices"
    assert "'price'" in refused.value.found
    assert str(column.type) in refused.value.found


@pytest.mark.parametrize(("kind", "rows_of"), OBJECTIVES, ids=NAMES)
def test_a_slice_of_classes_or_numbers_is_what_its_rows_alone_come_to(kind, rows_of):
    logits, labels = rows_of(N, seed=1)
    champion = logits + np.random.default_rng(2).normal(0, 1, logits.shape)
    pair = Pair(logits, champion, labels, WEIGHTS, kind.objective)
    (part, *_) = slices(pa.table({"site": SITES}), pair, 1, DRAWS)
    rows = [i for i, site in enumerate(SITES) if site == part.value]
    assert part.candidate == kind.of(logits[rows], labels[rows], WEIGHTS[rows]).metrics()
    own = compare(logits[rows], champion[rows], labels[rows], WEIGHTS[rows], DRAWS, kind.objective)
    assert part.change == own.ne
