from datetime import date

import pyarrow as pa
import pytest
from log_files import FIRST_DAY, imported, rows_of, write

from pipeline.intake.formats.delimited import Delimited, Dialect
from pipeline.intake.formats.delimited_columns import kind_of, look
from pipeline.intake.sources import find
from schemas.errors import Refusal


def format_of(path, dialect=None, kinds=None, label=None, timestamp=None, timezone="UTC") -> Delimited:
    return look(find([str(path)])[0], dialect or Dialect(), kinds or {}, label, timestamp, timezone)


def read(path, **options) -> list[dict[str, object]]:
    imported(format_of(path, **options), path)
    return rows_of(path.parent / "logs").to_pylist()


ROW = {"id": 1, "name": "Ann", "price": 2.5, "clicked": 0}
HEADER = "id,name,price,clicked"


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (f"{HEADER}\n1,Ann,2.5,0\n", Dialect()),
        (f"{HEADER}\n1,Ann,2.5,0", Dialect()),
        (f"{HEADER}\r\n1,Ann,2.5,0\r\n", Dialect()),
        (f"{HEADER}\r1,Ann,2.5,0\r", Dialect()),
        (f"\ufeff{HEADER}\n1,Ann,2.5,0\n", Dialect()),
        ('"id","name","price","clicked"\n"1","Ann","2.5","0"\n', Dialect()),
        ("id\tname\tprice\tclicked\n1\tAnn\t2.5\t0\n", Dialect(delimiter="\t")),
        ("id;name;price;clicked\n1;'Ann';2.5;0\n", Dialect(delimiter=";", quote="'")),
        ("1,Ann,2.5,0\n", Dialect(columns=("id", "name", "price", "clicked"))),
        (f"{HEADER}\n\n1,Ann,2.5,0\n\n", Dialect()),
    ],
    ids=["plain", "no-last-newline", "crlf", "cr", "mark", "quoted", "tabs", "semicolons", "no-header", "blank-lines"],
)
def test_a_row_is_the_same_however_it_is_written(tmp_path, content, dialect):
    assert read(write(tmp_path / "clicks.csv", content.encode()), dialect=dialect) == [ROW]


def test_quotes_hold_delimiters_newlines_and_quotes(tmp_path):
    content = b'id,said\n1,"a,b"\n2,"two\nlines"\n3,"say ""so"""\n4,5" screen\n5,""\n6,\n'
    said = [row["said"] for row in read(write(tmp_path / "clicks.csv", content))]
    assert said == ["a,b", "two\nlines", 'say "so"', '5" screen', None, None]
    path = write(tmp_path / "other/clicks.csv", b'id,said\n1,"a\n2,b"\n')
    assert [row["said"] for row in read(path, dialect=Dialect(quote=None))] == ['"a', 'b"']


def test_latin_1_is_refused_with_the_line_unless_it_is_said(tmp_path):
    path = write(tmp_path / "clicks.csv", "id,name\n1,Ann\n2,Ren\xe9\n".encode("latin-1"))
    with pytest.raises(Refusal, match="line 3: name is not UTF-8"):
        read(path)
    assert [row["name"] for row in read(path, dialect=Dialect(encoding="latin-1"))] == ["Ann", "Ren\xe9"]


def test_what_is_spelled_as_null_counts_for_no_value(tmp_path):
    content = b"id,name\n1,\n2,NULL\n3,NA\n4,nan\n5,\\N\n6,-\n"
    path = write(tmp_path / "clicks.csv", content)
    assert [row["name"] for row in read(path)] == [None] * 5 + ["-"]
    again = write(tmp_path / "again/clicks.csv", content)
    assert [row["name"] for row in read(again, dialect=Dialect(nulls=("-", "")))] == [
        *(None, "NULL", "NA", "nan", "\\N"),
        None,
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", None], "integer"),
        (["1", "2.5"], "number"),
        ([".5", "1e-3", "+2"], "number"),
        (["007", "8"], "text"),
        (["00.5", "1"], "text"),
        (["0.5", "0"], "number"),
        (["10000169349117863715"], "text"),
        (["1", "x"], "text"),
        (["true", "false"], "text"),
        (["2026-11-19"], "text"),
        (["inf", "1"], "text"),
        ([None, None], "text"),
        ([], "text"),
    ],
)
def test_a_column_is_what_its_first_values_are(values, kind):
    assert kind_of(pa.chunked_array([values], pa.string())) == kind


def test_a_value_that_is_not_what_its_column_began_with_is_told_unless_the_type_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.intake.blocks.BLOCK_BYTES", 20)
    path = write(tmp_path / "clicks.csv", ["id,zip", *(f"{number},{number}" for number in range(20)), "20,W1"])
    with pytest.raises(Refusal, match="line 22: zip is 'W1', where a whole number is expected"):
        read(path)
    assert read(path, kinds={"zip": "text"})[-1] == {"id": 20, "zip": "W1"}


@pytest.mark.parametrize("words", [("0", "1"), ("no", "yes"), ("False", "TRUE"), ("0.0", "1.0"), (" n ", "y")])
def test_labels_become_0_and_1(tmp_path, words):
    path = write(tmp_path / "clicks.csv", ["id,clicked", *(f"1,{word}" for word in words)])
    assert [row["clicked"] for row in read(path, label="clicked")] == [0, 1]
    assert rows_of(tmp_path / "logs").schema.field("clicked").type == pa.int8()


@pytest.mark.parametrize(("word", "shown"), [("2", "'2'"), ("", "missing"), ("maybe", "'maybe'"), ("-1", "'-1'")])
def test_a_label_that_is_none_is_refused(tmp_path, word, shown):
    path = write(tmp_path / "clicks.csv", ["id,clicked", "1,0", f"2,{word}"])
    with pytest.raises(Refusal, match=f"line 3: clicked is {shown}, where 0 or 1"):
        read(path, label="clicked")


def test_a_column_of_times_names_the_day_in_the_zone_that_is_said(tmp_path):
    path = write(tmp_path / "clicks.csv", ["id,time", "1,2026-11-18T23:30:00Z", "2,2026-11-19T22:59:59Z"])
    assert imported(format_of(path, timestamp="time", timezone="Europe/Berlin"), path).rows == {"2026-11-19": 2}
    assert rows_of(tmp_path / "logs", date(2026, 11, 19))["time"].to_pylist()[0] == "2026-11-18T23:30:00Z"
    again = tmp_path / "utc"
    assert imported(format_of(path, timestamp="time"), path, logs=again).rows == {"2026-11-18": 1, "2026-11-19": 1}


@pytest.mark.parametrize("number", ["inf", "-Infinity", "1e999", "nan"])
@pytest.mark.parametrize("others", [(), ("6,x",)], ids=["alone", "beside-others"])
def test_a_number_without_end_is_left_out_whatever_else_is(tmp_path, number, others):
    path = write(tmp_path / "clicks.csv", ["id,price", "1,0.5", f"2,{number}", "3,1e3", *others])
    form = format_of(path, dialect=Dialect(nulls=("",)), kinds={"price": "number"})
    imported(form, path, max_bad_share=0.5)
    assert rows_of(tmp_path / "logs")["price"].to_pylist() == [0.5, 1000.0]
    (quarantined, *_) = (tmp_path / "logs/quarantine").iterdir()
    assert f"price is '{number}', where a finite number is expected" in quarantined.read_text()


def test_a_time_that_is_none_is_refused_with_its_line(tmp_path):
    path = write(tmp_path / "clicks.csv", ["id,time", "1,2026-11-18", "2,yesterday", "3,"])
    with pytest.raises(
        Refusal, match=r"2 of 3 lines that break the format: line 3: time is 'yesterday'.*line 4: time is m"
    ):
        imported(format_of(path, timestamp="time"), path)


def test_a_column_called_as_the_folders_are_is_left_to_them_or_refused(tmp_path):
    path = write(tmp_path / "clicks.csv", ["id,date", "1,2026-11-18"])
    with pytest.raises(Refusal, match="--timestamp date"):
        format_of(path)
    imported(format_of(path, timestamp="date"), path)
    assert rows_of(tmp_path / "logs", date(2026, 11, 18)).column_names == ["id"]


def test_a_bad_row_among_values_with_newlines_has_the_number_of_its_first_line(tmp_path):
    path = write(tmp_path / "clicks.csv", b'id,said\n1,"two\nlines"\n2,"a\nb",c\n3,d\n')
    with pytest.raises(Refusal, match=r"1 of 3 lines.*line 4: 3 columns, where 2 are expected"):
        read(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_by_whatever_ends_them(tmp_path, end):
    path = write(tmp_path / "clicks.csv", end.join(["id,said", "1,a", "2,b,c", ""]).encode())
    with pytest.raises(Refusal, match=r"line 3: 3 columns, where 2 are expected"):
        read(path)


def test_a_column_s_name_may_hold_a_newline(tmp_path):
    path = write(tmp_path / "clicks.csv", b'id,"what they\nsaid"\n1,yes\n')
    assert read(path) == [{"id": 1, "what they\nsaid": "yes"}]


@pytest.mark.parametrize(
    ("content", "found", "remedy"),
    [
        ("1,Ann\n2,Bob\n", "'1' in the place of a column's name", "--columns"),
        ("id,name,name\n", "2 columns named 'name'", "rename one"),
        (",name\n0,Ann\n", "no name of column 1", "index=False"),
        ("id;name\n1;Ann\n", "one column, 'id;name'", "--delimiter ';'"),
        ("id\tname\n1\tAnn\n", "one column", "--delimiter 'tab'"),
        ("\ufeff", "nothing but a byte-order mark", "write the file again"),
    ],
)
def test_a_first_line_that_names_no_columns_is_refused(tmp_path, content, found, remedy):
    with pytest.raises(Refusal) as refused:
        format_of(write(tmp_path / "clicks.csv", content.encode()))
    assert found in refused.value.found
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("options", [{"label": "click"}, {"timestamp": "click"}, {"kinds": {"click": "text"}}])
def test_a_column_that_there_is_not_is_refused_with_the_one_that_may_be_meant(tmp_path, options):
    with pytest.raises(Refusal, match="perhaps 'clicked' is meant"):
        format_of(write(tmp_path / "clicks.csv", ["id,clicked", "1,0"]), **options)


def test_names_without_rows_are_refused(tmp_path):
    path = write(tmp_path / "clicks.csv", ["id,clicked"])
    with pytest.raises(Refusal, match="no rows"):
        read(path)


def test_files_of_other_columns_are_refused_and_of_the_same_ones_put_together(tmp_path):
    first = write(tmp_path / "clicks-2026-11-01.csv", ["id,clicked", "1,0"])
    second = write(tmp_path / "clicks-2026-11-02.csv", ["id,clicked", "2,1"])
    assert imported(format_of(first), first, second).rows == {str(FIRST_DAY): 1, "2026-11-02": 1}
    third = write(tmp_path / "clicks-2026-11-03.csv", ["clicked,id", "1,3"])
    with pytest.raises(Refusal, match="in another order"):
        imported(format_of(first), first, second, third, logs=tmp_path / "others")
    assert not (tmp_path / "others").exists()
