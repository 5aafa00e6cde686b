"""Bad rows of a log, kept as its files have them, with the reason of each: `<work_uri>/quarantine/date=.../`."""

import io
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.logs import Part, read_part
from pipeline.runtime import files, trusted
from schemas.features import FeatureSpec

REASON = "reason"


def uri_of(work_uri: str) -> str:
    return f"{work_uri}/quarantine"


def with_reasons(row_group: Part, bad: Mapping[str, np.ndarray], spec: FeatureSpec) -> pa.Table:
    """The bad rows of one row group, with all columns of its file and why they are bad."""
    rows = np.flatnonzero(np.logical_or.reduce(list(bad.values())))
    wanted = list(dict.fromkeys([*spec.columns, *spec.ignored, spec.partition]))
    ((table, _),) = read_part(row_group, wanted, absent_are_null=False)
    reasons = ["; ".join(reason for reason, mask in bad.items() if mask[row]) for row in rows]
    name = next(name for name in (REASON, f"{REASON}_") if name not in table.column_names)
    return table.take(pa.array(rows)).append_column(name, pa.array(reasons, pa.string()))


def write(folder_uri: str, name: str, tables: Sequence[pa.Table]) -> dict[str, int]:
    """Write a part's bad rows, a file for each of their schemas; returns the rows of each file, by its name."""
    of_schema: dict[pa.Schema, list[pa.Table]] = {}  # files of one day may differ in their ignored columns
    for table in tables:
        of_schema.setdefault(table.schema, []).append(table)
    written = {}
    for number, alike in enumerate(of_schema.values()):
        bad, own = pa.concat_tables(alike), f"{name}{f'-{number}' if number else ''}.parquet"
        files.write_bytes(f"{folder_uri}/{own}", _to_parquet(bad))
        written[own] = len(bad)
    return written


def keep_only(folder_uri: str, own: Collection[str], prefix: str) -> None:
    """Of what is called so, remove what an earlier state of the day's files had put there.

    Raises Failure where rows that a node has put there are not to be seen from here.
    """
    trusted.require_written(folder_uri, dict.fromkeys(own))
    if files.exists(folder_uri):
        for name in files.names(folder_uri):
            if name.startswith(prefix) and name not in own:
                files.remove(f"{folder_uri}/{name}")


def _to_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
