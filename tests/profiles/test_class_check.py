"""Rows of classes that a model does not know: what is told of them, and where they are kept."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import SPEC, click_rows, data_of, write_day

from pipeline.data import logs
from pipeline.data.unknown_classes import UnknownClass, classes_in_words
from pipeline.profiles.class_check import unknown_classes
from schemas.data import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec

DAYS = [date(2026, 11, 1 + number) for number in range(3)]
KNOWN = ("blue", "green", "red")
LABELS = [
    ["red", "blue", "red", "green", "blue", "red", "red", "green"],
    ["red", "teal", "violet", "green", None, "red", "violet", "green"],
    ["red", "blue", "red", "green", "blue", "red", "red", "violet"],
]
FOUND = (
    UnknownClass(DAYS[1], "teal", 1),
    UnknownClass(DAYS[1], "violet", 2),
    UnknownClass(DAYS[2], "violet", 1),
)


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    """Three days of eight rows in parts of four; a column that the spec ignores beside them."""
    spec = FeatureSpec.model_validate({**SPEC, "objective": "multiclass", "ignored": ["note"]})
    for day, labels in zip(DAYS, LABELS, strict=True):
        rows = click_rows().drop_columns(["click"]).append_column("click", pa.array(labels))
        write_day(tmp_path / "logs", day, rows.append_column("note", pa.array([f"n{row}" for row in range(8)])))
    return data_of(tmp_path / "logs", spec, max_bad_share=0.5, rows_per_part=4)


def found(data: DataConfig, work: Path | None = None, classes: tuple[str, ...] = KNOWN) -> tuple[UnknownClass, ...]:
    return unknown_classes(logs.find(data, DAYS), data, classes, None if work is None else str(work))


def kept(work: Path, day: date) -> list[dict]:
    paths = sorted((work / "quarantine" / f"date={day}").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path, partitioning=None).to_pylist()]


@pytest.fixture(params=["here", pytest.param("by Ray", marks=[pytest.mark.ray, pytest.mark.filterwarnings("default")])])
def _anywhere(request: pytest.FixtureRequest) -> None:
    """Parts are worked on here, or by tasks in processes of Ray's."""
    if request.param == "by Ray":
        request.getfixturevalue("cluster")


@pytest.mark.usefixtures("_anywhere")
def test_they_are_counted_by_day_and_kept_with_all_their_columns_wherever_parts_are_worked_on(data, tmp_path):
    assert found(data, tmp_path) == FOUND
    assert kept(tmp_path, DAYS[0]) == []
    of_day = kept(tmp_path, DAYS[1])
    assert [(row["note"], row["click"]) for row in of_day] == [("n1", "teal"), ("n2", "violet"), ("n6", "violet")]
    assert {row["reason"] for row in of_day} == {"click: none that the training rows have"}
    assert [row["row"] for row in kept(tmp_path, DAYS[2])] == [7]


def test_what_is_known_at_last_leaves_quarantine_and_other_bad_rows_stay(data, tmp_path):
    found(data, tmp_path)
    other = tmp_path / "quarantine" / f"date={DAYS[2]}" / "part-0000.parquet"
    pq.write_table(pa.table({"row": [3]}), other)
    assert found(data, tmp_path, (*KNOWN, "violet")) == FOUND[:1]
    assert [row["click"] for row in kept(tmp_path, DAYS[1])] == ["teal"]
    assert kept(tmp_path, DAYS[2]) == [{"row": 3}]


def test_without_a_work_folder_they_are_only_counted(data, tmp_path):
    assert found(data) == FOUND
    assert not (tmp_path / "quarantine").exists()


def test_nothing_is_looked_at_where_the_first_such_row_is_refused_or_labels_are_no_classes(data, tmp_path):
    strict = data.model_copy(update={"max_bad_share": 0.0})
    (tmp_path / "logs" / f"date={DAYS[0]}" / "part-0.parquet").write_bytes(b"no longer Parquet")
    manifest = logs.find(data, DAYS[1:])
    assert unknown_classes(manifest, strict, KNOWN) == ()
    assert unknown_classes(manifest, data, ()) == ()


def test_a_day_with_a_larger_share_of_them_is_refused_and_they_are_in_quarantine(data, tmp_path):
    less = data.model_copy(update={"max_bad_share": 0.3})
    with pytest.raises(Refusal) as refusal:
        found(less, tmp_path)
    assert refusal.value.found == (
        "2026-11-02: 3 of 8 rows (37.50%) of classes that the model does not know: 'teal' (1), 'violet' (2)"
    )
    assert "at most 30.00% of a day's rows that are not one of the 3 classes" in refusal.value.expected
    assert "another mlflow.registered_model" in refusal.value.remedy
    assert len(kept(tmp_path, DAYS[1])) == 3


def test_in_words_the_first_are_named_and_the_others_counted():
    assert classes_in_words(()) == ""
    assert classes_in_words(FOUND) == (
        "unknown classes: 4 rows left out, 1 of 'teal' on 2026-11-02, 2 of 'violet' on 2026-11-02, "
        "1 of 'violet' on 2026-11-03"
    )
    many = [UnknownClass(DAYS[0], f"c{number}", 1) for number in range(7)]
    assert classes_in_words(many).endswith("1 of 'c4' on 2026-11-01 and 2 more")
