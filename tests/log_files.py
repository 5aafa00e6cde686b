"""Small files of the formats that are imported, by their published descriptions, and what an import makes of them."""

import gzip
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.intake.days import by_files
from pipeline.intake.formats.avazu import COLUMNS
from pipeline.intake.formats.form import Format
from pipeline.intake.importing import Import, Outcome, run
from pipeline.intake.sources import find

FIRST_DAY = date(2026, 11, 1)


def criteo_line(label: object = 0, numbers: Sequence[object] = range(13), ids: str = "f6942943") -> str:
    """A line as of Criteo's logs, without its end."""
    return "\t".join(map(str, [label, *numbers, *[ids] * 26]))


def avazu_line(key: object = "17000000000000000002", click: object = 0, hour: object = "14102100") -> str:
    ids = ["5fd731e4", "09521a00", "2f6bdb2d", "c9052bf5", "b5637abc", "169ae129", "e78e4260", "d6f6e4fb", "e11c2785"]
    others = ["1", "2", "15706", "320", "50", "1722", "0", "35", "-1", "79"]
    return ",".join(map(str, [key, click, hour, "1005", "0", *ids, *others]))


AVAZU_HEADER = ",".join(COLUMNS)


def write(path: Path, lines: Sequence[str] | bytes, *, end: str = "\n") -> Path:
    """A file of these lines, or bytes; packed where its name ends in .gz."""
    content = lines if isinstance(lines, bytes) else "".join(f"{line}{end}" for line in lines).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


def imported(
    form: Format, *files: Path, logs: Path | None = None, rows_per_day: int | None = None, **options: object
) -> Outcome:
    """What an import of the files comes to, into `logs` beside the first one."""
    sources = find([str(file) for file in files])
    is_by_line = form.has_row_ids or not getattr(form, "timestamp", True)
    by_line = by_files(sources, FIRST_DAY, rows_per_day) if is_by_line else ()
    where = str(logs or files[0].parent / "logs")
    return run(Import(form, tuple(sources), where, tuple(by_line), **options), lambda event: None)


def rows_of(logs: Path, day: date = FIRST_DAY) -> pa.Table:
    """The day's rows, its files in the order of their names."""
    parts = sorted((logs / f"date={day}").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(part, partitioning=None) for part in parts])
