"""Whatever a file holds that is imported: rows and lines left out that are all of its lines, or a Refusal."""

import csv
import gzip
import io
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from unittest.mock import patch

import pytest
from examples import damages, several
from hypothesis import given
from hypothesis import strategies as st
from log_files import AVAZU_HEADER, avazu_line, criteo_line, imported, rows_of

from pipeline.intake import blocks
from pipeline.intake.formats import delimited_columns, libffm
from pipeline.intake.formats.avazu import Avazu
from pipeline.intake.formats.criteo import Criteo
from pipeline.intake.formats.delimited import Dialect
from pipeline.intake.formats.form import Format
from pipeline.intake.formats.libsvm import LibSVM
from pipeline.intake.sources import find
from schemas.errors import Refusal

pytestmark = pytest.mark.slow
LINES = {
    "criteo": [criteo_line(number % 2, [number, ""] * 6 + [-1], f"{number:08x}") for number in range(20)],
    "avazu": [AVAZU_HEADER, *(avazu_line(str(number), number % 2) for number in range(20))],
    "csv": ["id,said,price", *(f'{number},"a ""b"",\n{number}",{number}.5' for number in range(20))],
    "libsvm": [f"{number % 2} {number}:1 {number + 7}:1" for number in range(20)],
    "libffm": [f"{number % 2} 0:{number}:1 1:9:{number / 4}" for number in range(20)],
}
FORMS: dict[str, Callable[[Path], Format]] = {
    "criteo": lambda path: Criteo(),
    "avazu": lambda path: Avazu(),
    "csv": lambda path: delimited_columns.look(find([str(path)])[0], Dialect(), {}, None, None, "UTC"),
    "libsvm": lambda path: LibSVM(),
    "libffm": lambda path: libffm.look(find([str(path)])[0]),
}


@given(
    name=st.sampled_from(list(LINES)),
    damage=damages(),
    end=st.sampled_from(["\n", "\r\n"]),
    ending=st.sampled_from(["", ".gz"]),
    block_bytes=st.sampled_from([64, 1000, 2**20]),
)
@several()
def test_a_damaged_file_is_refused_or_all_of_its_lines_are_rows_or_left_out(name, damage, end, ending, block_bytes):
    text = "".join(f"{line}{end}" for line in LINES[name]).encode()
    content = damage(gzip.compress(text) if ending else text)
    with tempfile.TemporaryDirectory() as folder, patch.object(blocks, "BLOCK_BYTES", block_bytes):
        path = Path(folder) / f"clicks{ending}"
        path.write_bytes(content)
        try:
            outcome = imported(FORMS[name](path), path, max_bad_share=1.0)
        except Refusal:
            assert list(Path(folder).iterdir()) == [path], "nothing is left of it"
            return
        found = sum(len(rows_of(path.parent / "logs", date.fromisoformat(day))) for day in outcome.rows)
        assert found == sum(outcome.rows.values())
        assert found + outcome.num_bad == num_rows(name, gzip.decompress(content) if ending else content)


def num_rows(name: str, content: bytes) -> int:
    """How many there are, blank lines and comments left away, and the line of names."""
    text = io.StringIO(content.decode("latin-1"), newline="")
    if name == "csv":
        return sum(map(bool, csv.reader(text))) - 1
    lines = [line for line in text if line.strip("\r\n")]
    lines = [line for line in lines if name[:3] != "lib" or not line.lstrip().startswith("#")]
    return len(lines) - (name == "avazu")
