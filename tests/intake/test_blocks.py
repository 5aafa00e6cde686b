import csv
import io
import random
from itertools import pairwise

import pytest

from pipeline.intake import blocks as blocks_module
from pipeline.intake.blocks import Marks, blocks
from pipeline.intake.sources import find
from schemas.errors import Refusal

CSV = Marks(",", '"')
PIECES = ["a", "b,c", '"', '""', "\n", "\r\n", ",", '"x,y"', '"line\nline"', '"say ""so"""', '5" screen']


def split(tmp_path, data, marks, block_bytes, monkeypatch):
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "file.csv"
    path.write_bytes(data)
    return list(blocks(find([str(path)])[0], marks))


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1000])
def test_blocks_are_the_file_again_and_each_ends_where_a_row_ends(tmp_path, monkeypatch, block_bytes):
    chance = random.Random(block_bytes)
    for _ in range(60):
        data = "".join(chance.choices(PIECES, k=40)).encode()
        if rows_of(data + b"\nend")[-1] != ["end"]:  # a quote is open at the end
            with pytest.raises(Refusal, match="does not end"):
                split(tmp_path, data, CSV, block_bytes, monkeypatch)
            continue
        found = split(tmp_path, data, CSV, block_bytes, monkeypatch)
        assert b"".join(block.data for block in found) == data
        assert [row for block in found for row in rows_of(block.data)] == rows_of(data)
        assert [block.first_line for block in found] == [
            1 + data[: block.next_offset - len(block.data)].count(b"\n") for block in found
        ]


def test_where_a_block_ends_depends_on_where_it_begins_alone(tmp_path, monkeypatch):
    data = b"".join(b'%d,"a\n%s"\n' % (number, b"x" * (number % 50)) for number in range(300))
    found = split(tmp_path, data, CSV, 256, monkeypatch)
    source = find([str(tmp_path / "file.csv")])[0]
    for before, after in pairwise(found):
        resumed = next(blocks(source, CSV, offset=before.next_offset, line=after.first_line))
        assert (resumed.data, resumed.next_offset) == (after.data, after.next_offset)


def test_without_quotes_every_newline_ends_a_row(tmp_path, monkeypatch):
    found = split(tmp_path, b'a "b\nc" d\ne', Marks("\t"), 4, monkeypatch)
    assert [block.data for block in found] == [b'a "b\n', b'c" d\ne']


def test_text_in_utf_16_is_refused_and_a_byte_order_mark_changes_nothing(tmp_path, monkeypatch):
    (block,) = split(tmp_path, b"\xef\xbb\xbfa,b\n", CSV, 100, monkeypatch)
    assert (block.data, block.next_offset) == (b"a,b\n", 7)
    with pytest.raises(Refusal, match="UTF-16"):
        split(tmp_path, "a,b\n".encode("utf-16"), CSV, 100, monkeypatch)


def test_a_quote_that_is_never_closed_is_refused_with_the_line_that_opens_it(tmp_path, monkeypatch):
    with pytest.raises(Refusal, match="line 3") as refused:
        split(tmp_path, b'a,b\n"x\ny",1\n'.replace(b"\ny", b"y") + b'1,"open\n2,3\n4,5\n', CSV, 1000, monkeypatch)
    assert "closed nowhere" in refused.value.found


def test_a_row_without_an_end_is_refused_before_it_fills_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks_module, "MOST_ROW_BYTES", 1000)
    with pytest.raises(Refusal, match="does not end"):
        split(tmp_path, b"a,b\n" + b"x" * 10_000, CSV, 100, monkeypatch)


def test_latin_1_becomes_utf_8(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes("caf\xe9,1\n".encode("latin-1"))
    (block,) = blocks(find([str(path)])[0], CSV, "latin-1")
    assert block.data == "caf\xe9,1\n".encode()
