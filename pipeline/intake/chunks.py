"""Some blocks of a file on their way into the log: a part for each of their days, and a note that these are written.

They wait in a folder beside the days:

    date=2026-11-19/part-0000-00002.parquet    of the first file's third chunk, the rows of that day
    bad-0000-00002.jsonl                       its lines that are left out
    done-0000-00002.json                       comes last: what the chunk came to, and where the next one begins

An import that goes on after a kill does not read again what is noted there.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.intake.blocks import Block, num_line_ends
from pipeline.intake.formats.form import ROW_ID
from pipeline.intake.reading import BadLine, FileReader
from pipeline.runtime import files

BLOCKS_PER_CHUNK = 32
ROWS_PER_GROUP = 262_144
LOOKED_AT_ROWS = 4096  # of a column, to see whether its values come again
REPEATING_SHARE = 0.5  # of them that differ, at most
NUM_FIRST = 3  # of the lines left out, which a refusal names


@dataclass(frozen=True, slots=True)
class Chunk:
    """Blocks of a file that become parts together."""

    reader: FileReader
    index: int
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        return f"{self.reader.number:04d}-{self.index:05d}"


@dataclass(frozen=True, slots=True)
class Done:
    """What a chunk has come to, and where in its file the next one begins."""

    name: str
    rows: dict[str, int]
    """Of each day."""
    num_bad: int
    first_bad: tuple[str, ...]
    """A few of the lines left out, in words."""
    next_offset: int
    next_line: int
    num_bytes_read: int
    """Of the file as it lies there."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The folder of chunks that are written and not yet part of the log."""

    uri: str

    def chunks(self, reader: FileReader) -> Iterator[Chunk | Done]:
        """A file's chunks in their order; of those that are written already, what they have come to."""
        index, offset, line, written = 0, 0, 1, self._done(reader.number)
        while (done := written.get(index)) is not None:
            yield done
            index, offset, line = index + 1, done.next_offset, done.next_line
        own = reader.blocks(offset, line)
        while taken := tuple(islice(own, BLOCKS_PER_CHUNK)):
            yield written.get(index) or Chunk(reader, index, taken)
            index += 1

    def _done(self, number: int) -> dict[int, Done]:
        names = files.names(self.uri) if files.exists(self.uri) else []
        found = {}
        for name in names:
            if name.startswith(f"done-{number:04d}-"):
                with suppress(ValueError, TypeError):  # one that is damaged is not done
                    done = Done(**json.loads(files.read_bytes(f"{self.uri}/{name}")))
                    found[int(done.name.split("-")[1])] = done
        return found

    def write(self, chunk: Chunk) -> Done:
        """Write its parts, then the note."""
        of_days: dict[date, list[pa.Table]] = defaultdict(list)
        bad: list[BadLine] = []
        for block in chunk.blocks:
            read = chunk.reader.read(block)
            bad += read.bad
            for day, table in read.of_days.items():
                of_days[day].append(table)
        for day, tables in of_days.items():
            files.write_bytes(f"{self.folder(day)}/{part_name(chunk.name)}", _to_parquet(pa.concat_tables(tables)))
        if bad:
            lines = "".join(f"{json.dumps(asdict(one), ensure_ascii=False)}\n" for one in bad)
            files.write_bytes(f"{self.uri}/{bad_name(chunk.name)}", lines.encode())
        last = chunk.blocks[-1]
        done = Done(
            name=chunk.name,
            rows={str(day): sum(map(len, tables)) for day, tables in of_days.items()},
            num_bad=len(bad),
            first_bad=tuple(map(str, bad[:NUM_FIRST])),
            next_offset=last.next_offset,
            next_line=last.first_line + num_line_ends(last.data, 0, len(last.data)),
            num_bytes_read=last.num_bytes_read,
        )
        files.write_bytes(f"{self.uri}/done-{chunk.name}.json", json.dumps(asdict(done)).encode())
        return done

    def folder(self, day: date | str) -> str:
        """Of the day's parts."""
        return f"{self.uri}/date={day}"


def part_name(chunk_name: str) -> str:
    return f"part-{chunk_name}.parquet"


def bad_name(chunk_name: str) -> str:
    return f"bad-{chunk_name}.jsonl"


def _to_parquet(table: pa.Table) -> bytes:
    """Without statistics, which nothing asks for and which cost a third of the time.

    A column whose values seldom come again is written faster, and smaller, as it is than by a dictionary of them.
    """
    sink = pa.BufferOutputStream()
    repeating = [name for name in table.column_names if name != ROW_ID and _repeats(table.column(name))]
    pq.write_table(
        table,
        sink,
        row_group_size=ROWS_PER_GROUP,
        compression="zstd",
        use_dictionary=repeating,
        column_encoding={ROW_ID: "DELTA_BINARY_PACKED"} if ROW_ID in table.column_names else None,
        write_statistics=False,
    )
    return bytes(sink.getvalue().to_pybytes())


def _repeats(column: pa.ChunkedArray) -> bool:
    first = column.slice(0, LOOKED_AT_ROWS)
    if pa.types.is_nested(column.type):
        return True
    return bool(pc.count_distinct(first).as_py() <= REPEATING_SHARE * len(first))
