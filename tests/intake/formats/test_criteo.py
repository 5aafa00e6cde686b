from datetime import date

import pyarrow as pa
import pytest
from log_files import FIRST_DAY, criteo_line, imported, rows_of, write

from pipeline.intake.formats.criteo import IDS, NUMBERS, Criteo
from schemas.errors import Refusal

LINE = criteo_line()


def test_a_line_by_hand(tmp_path):
    numbers = [1, 2, "", 0, -1, 10**12, "", "", 8, 9, 10, 11, 12]
    line = criteo_line(1, numbers).rsplit("\t", 1)[0] + "\t"  # the last id is empty
    imported(Criteo(), write(tmp_path / "train.txt", [line]))
    table = rows_of(tmp_path / "logs")
    assert table.column_names == ["row_id", "label", *NUMBERS, *IDS]
    assert table.schema.field("I6").type == pa.int64()
    assert table.schema.field("C1").type == pa.string()
    values = list(table.to_pylist()[0].values())
    assert values == [1, 1, *[number if number != "" else None for number in numbers], *["f6942943"] * 25, None]


def test_row_order_is_time_by_lines_a_day(tmp_path):
    file = write(tmp_path / "train.txt", [criteo_line(0, [number] * 13) for number in range(7)])
    outcome = imported(Criteo(), file, rows_per_day=3)
    assert outcome.rows == {"2026-11-01": 3, "2026-11-02": 3, "2026-11-03": 1}
    assert rows_of(tmp_path / "logs", date(2026, 11, 2))["I1"].to_pylist() == [3, 4, 5]
    assert rows_of(tmp_path / "logs", date(2026, 11, 2))["row_id"].to_pylist() == [4, 5, 6]


def test_a_day_file_is_a_day_and_day_10_comes_after_day_9(tmp_path):
    for number in (10, 9, 0):
        write(tmp_path / f"in/day_{number}.gz", [criteo_line(0, [number] * 13)])
    outcome = imported(Criteo(), tmp_path / "in", logs=tmp_path / "logs")
    assert list(outcome.rows) == ["2026-11-01", "2026-11-10", "2026-11-11"]
    assert rows_of(tmp_path / "logs", date(2026, 11, 11))["I1"].to_pylist() == [10]
    assert rows_of(tmp_path / "logs", date(2026, 11, 11))["row_id"].to_pylist() == [2 * 10**12 + 1]


@pytest.mark.parametrize(
    "content",
    [
        f"{LINE}\n{LINE}\n",
        f"{LINE}\n{LINE}",
        f"{LINE}\r\n{LINE}\r\n",
        f"{LINE}\r\n{LINE}",
        f"\ufeff{LINE}\n{LINE}\n",
        f"\n{LINE}\n\n\r\n{LINE}\n\n",
        f"{LINE}\r\r\n{LINE}\r\r\n",
    ],
    ids=["plain", "no-last-newline", "crlf", "crlf-no-last-newline", "byte-order-mark", "blank-lines", "cr-crlf"],
)
def test_ends_of_lines_and_marks_change_nothing(tmp_path, content):
    imported(Criteo(), write(tmp_path / "train.txt", content.encode()))
    expected = rows_of(tmp_path / "logs").to_pylist()[0]
    rows = [{**row, "row_id": 0} for row in rows_of(tmp_path / "logs").to_pylist()]
    assert rows == [{**expected, "row_id": 0}] * 2
    assert list(expected.values())[1:] == [0, *range(13), *["f6942943"] * 26]


BAD_LINES = {
    "27-columns": (LINE.rsplit("\t", 13)[0], "27 columns, where 40 are expected"),
    "39-columns": (LINE.partition("\t")[2], "39 columns, where 40 are expected"),
    "41-columns": (LINE + "\t", "41 columns, where 40 are expected"),
    "label-2": (criteo_line(2), "label is 2, where 0 or 1 is expected"),
    "no-label": (criteo_line(""), "label is missing, where 0 or 1 is expected"),
    "label-of-text": (criteo_line("yes"), "label is 'yes', where a whole number is expected"),
    "label-of-bytes": (criteo_line(300), "label is '300', where a whole number is expected"),
    "a-number-of-text": (criteo_line(0, ["x"] * 13), "I1 is 'x', where a whole number is expected"),
    "a-number-with-a-point": (criteo_line(0, ["1.5"] * 13), "I1 is '1.5', where a whole number is expected"),
    "a-large-number": (criteo_line(0, [2**63] * 13), f"I1 is '{2**63}', where a whole number is expected"),
    "nul": (criteo_line(ids="68\0fd"), "C1 has a NUL byte"),
    "latin-1": (criteo_line(ids="\udce9"), "C1 is not UTF-8"),
    "a-word": ("x" * 100_000, "1 columns, where 40 are expected"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_breaks_the_format_is_refused_with_its_number_or_left_out_with_the_reason(tmp_path, line, reason):
    lines = [LINE, LINE, line, LINE]
    file = write(tmp_path / "train.txt", "\n".join(lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(Refusal) as refused:
        imported(Criteo(), file)
    assert refused.value.found == f"1 of 4 lines that break the format: line 3: {reason}"
    assert refused.value.where == str(file)
    assert not (tmp_path / "logs").exists(), "nothing is left of it"
    outcome = imported(Criteo(), file, max_bad_share=0.25)
    assert (outcome.rows, outcome.num_bad) == ({str(FIRST_DAY): 3}, 1)
    assert rows_of(tmp_path / "logs")["row_id"].to_pylist() == [1, 2, 4]
