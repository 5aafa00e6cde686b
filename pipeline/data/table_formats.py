"""Tables whose own log says which of their files count are refused: rows that were rewritten would count twice."""

from collections.abc import Sequence
from contextlib import suppress

import fsspec

from pipeline.data.entries import Info, listed, name_of
from pipeline.runtime import files
from schemas.errors import Refusal

MARKERS = {
    "_delta_log": "a Delta Lake table",
    ".hoodie": "an Apache Hudi table",
    ".hoodie_partition_metadata": "an Apache Hudi table",
}
ICEBERG = ".metadata.json"


def refuse(fs: fsspec.AbstractFileSystem, infos: Sequence[Info], where: str) -> None:
    """Raise Refusal where these lie in such a table's folder."""
    for info in infos:
        name = name_of(info)
        if name in MARKERS:
            raise _refusal(MARKERS[name], name, where)
        if name == "metadata" and info["type"] == "directory":
            _refuse_iceberg(listed(fs, info["name"]), where)


def refuse_path(words: Sequence[str], where: str) -> None:
    """Raise Refusal where a file lies, by the folders down to it and its name, in such a table's notes."""
    for word in words:
        if word in MARKERS:
            raise _refusal(MARKERS[word], word, where)
    if words[-2:-1] == ["metadata"] and words[-1].endswith(ICEBERG):
        raise _refusal("an Apache Iceberg table", f"metadata/{words[-1]}", where)


def refuse_data_of(fs: fsspec.AbstractFileSystem, root: str, where: str) -> None:
    """Raise Refusal where the folder is that of the data of an Iceberg table, whose metadata lie beside it."""
    above, _, name = root.rstrip("/").rpartition("/")
    if name == "data":
        with suppress(*files.errors()):
            _refuse_iceberg(listed(fs, f"{above}/metadata"), where)


def _refuse_iceberg(metadata: Sequence[Info], where: str) -> None:
    for info in metadata:
        if str(info["name"]).endswith(ICEBERG):
            raise _refusal("an Apache Iceberg table", f"metadata/{name_of(info)}", where)


def _refusal(what: str, marker: str, where: str) -> Refusal:
    return Refusal(
        found=f"{what}, by its {marker}",
        expected="plain Parquet files: in a table's folder, rows that were rewritten would count twice",
        where=where,
        remedy="export the days from the table to a log of plain Parquet, and set data.logs_uri to that",
    )
