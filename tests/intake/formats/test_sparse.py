import random

import pyarrow as pa
import pytest
from log_files import imported, rows_of, write

from pipeline.intake.formats.libffm import LibFFM, look
from pipeline.intake.formats.libsvm import LibSVM
from pipeline.intake.sources import find
from schemas.errors import Refusal


def read_svm(tmp_path, *lines, **options):
    imported(LibSVM(), write(tmp_path / "clicks.svm", lines), **options)
    return [(row["label"], row["features"]) for row in rows_of(tmp_path / "logs").to_pylist()]


def ffm(tmp_path, *lines, **options) -> LibFFM:
    return look(find([str(write(tmp_path / "clicks.ffm", lines))])[0], **options)


def read_ffm(tmp_path, *lines, form=None, **options):
    form = form or ffm(tmp_path, *lines)
    imported(form, write(tmp_path / "clicks.ffm", lines), **options)
    return [
        {name: value for name, value in row.items() if name != "row_id"}
        for row in rows_of(tmp_path / "logs").to_pylist()
    ]


def test_indices_of_value_1_are_a_list_of_ids(tmp_path):
    rows = read_svm(tmp_path, "1 3:1 7:1.0 9:0", "+1 0:1", "-1 5:1  6:1 # a comment", "0", " 0\t2:1 ", "# nothing", "")
    assert rows[:5] == [(1, [3, 7]), (1, [0]), (0, [5, 6]), (0, []), (0, [2])]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2 3:1", "label is '2', where 0, 1, +1 or -1 is expected"),
        ("3:1 4:1", "label is '3:1', where 0, 1, +1 or -1 is expected"),
        ("1 3", "'3', where index:value is expected"),
        ("1 3:1:1", "'3:1:1', where index:value is expected"),
        ("1 qid:3 4:1", "'qid:3', where index:value is expected"),
        ("1 -3:1", "'-3:1', where index:value is expected"),
        ("1 2:1 x:1", "'x:1', where index:value is expected"),
        ("1 3:", "'3:', where index:value is expected"),
        ("1 3:one", "'3:one', where index:value is expected"),
        ("1 3:0.37", "the value of 3 is 0.37, where 0 or 1 is expected"),
        (f"1 {10**20}:1", f"'{10**20}:1', where index:value is expected"),
        ("1 \0:1", "line has a NUL byte"),
        ("1 2:1\x013:1", "2 columns, where 1 are expected"),
    ],
)
def test_a_line_of_libsvm_that_breaks_the_format_is_left_out_with_the_reason(tmp_path, line, reason):
    with pytest.raises(Refusal) as refused:
        read_svm(tmp_path, "1 1:1", line, "0 2:1")
    assert refused.value.found == f"1 of 3 lines that break the format: line 2: {reason}"
    assert read_svm(tmp_path, "1 1:1", line, "0 2:1", max_bad_share=0.5) == [(1, [1]), (0, [2])]


def test_a_field_is_an_id_a_list_or_a_number_by_its_first_rows(tmp_path):
    lines = ["1 0:5:1 1:7:1 1:8:1 2:9:0.5", "0 0:6:1 2:9:-2", "0 1:7:1 0:5:0"]
    assert ffm(tmp_path, *lines).kinds == ("id", "ids", "number")
    assert read_ffm(tmp_path, *lines) == [
        {"label": 1, "field_0": 5, "field_1": [7, 8], "field_2": 0.5},
        {"label": 0, "field_0": 6, "field_1": [], "field_2": -2.0},
        {"label": 0, "field_0": None, "field_1": [7], "field_2": None},
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 2:3:1", "field 2, where the first rows have 2 fields: --fields says more"),
        ("1 0:3:1 0:4:1", "field 0 twice, which the first rows have once: --lists takes several"),
        ("1 0:3:0.5", "a value of field 0 is 0.5, where 0 or 1 is expected"),
        ("1 0:3", "'0:3', where field:index:value is expected"),
        ("1 0:-3:1", "'0:-3:1', where field:index:value is expected"),
        ("1 0:3:1e999", "'0:3:1e999', where field:index:value is expected"),
        ("1 a:3:1", "'a:3:1', where field:index:value is expected"),
        ("2 0:3:1", "label is '2', where 0, 1, +1 or -1 is expected"),
    ],
)
def test_a_line_of_libffm_that_breaks_the_format_is_left_out_with_the_reason(tmp_path, line, reason):
    form = ffm(tmp_path, "1 0:1:1 1:1:1", "0 0:2:1")
    with pytest.raises(Refusal) as refused:
        read_ffm(tmp_path, "1 0:1:1 1:1:1", line, form=form)
    assert refused.value.found == f"1 of 2 lines that break the format: line 2: {reason}"
    (row,) = read_ffm(tmp_path, "1 0:1:1 1:1:1", line, form=form, max_bad_share=0.5)
    assert row == {"label": 1, "field_0": 1, "field_1": 1}


def test_more_fields_and_lists_are_taken_where_they_are_said(tmp_path):
    form = ffm(tmp_path, "1 0:1:1", num_fields=2, are_lists=True)
    rows = read_ffm(tmp_path, "1 0:1:1", "0 0:1:1 0:2:1 1:5:1", form=form)
    assert rows[1] == {"label": 0, "field_0": [1, 2], "field_1": [5]}


@pytest.mark.parametrize("line", ["1", "x", "1 3:1", f"1 {10**9}:1:1"])
def test_files_whose_first_rows_have_no_fields_are_refused(tmp_path, line):
    with pytest.raises(Refusal, match="label field:index:value"):
        ffm(tmp_path, line)


def test_rows_drawn_at_random_come_back(tmp_path):
    chance = random.Random(3)
    drawn = [(chance.randrange(2), sorted(chance.sample(range(500), chance.randrange(9)))) for _ in range(2000)]
    lines = [f"{label} " + " ".join(f"{index}:1" for index in indices) for label, indices in drawn]
    assert read_svm(tmp_path, *lines) == drawn
    as_fields = [f"{label} " + " ".join(f"{index % 7}:{index}:1" for index in indices) for label, indices in drawn]
    form = ffm(tmp_path, *as_fields)
    assert form.kinds == ("ids",) * 7
    for row, (label, indices) in zip(read_ffm(tmp_path / "ffm", *as_fields, form=form), drawn, strict=True):
        assert row["label"] == label
        assert [row[f"field_{field}"] for field in range(7)] == [
            [index for index in indices if index % 7 == field] for field in range(7)
        ]
    assert rows_of(tmp_path / "logs").schema.field("features").type == pa.list_(pa.int64())
