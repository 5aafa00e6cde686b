"""List a click log: its days, the files of each that may hold rows, and what is left aside."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import fsspec

from pipeline.data import layouts
from pipeline.runtime import files
from schemas.errors import Refusal
from schemas.features import FeatureSpec

Info = dict[str, Any]
"""What fsspec tells of a file or folder: name, size, type."""

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
HADOOP_FOLDER = "_$folder$"
NOT_PARQUET = "not Parquet"
TABLE_FORMATS = {
    "_delta_log": "a Delta Lake table",
    ".hoodie": "an Apache Hudi table",
    ".hoodie_partition_metadata": "an Apache Hudi table",
}


@dataclass(frozen=True, slots=True)
class LeftAside:
    """Something in the log that is read for no day: its URI, and why; `day` is None for what lies beside the days."""

    uri: str
    reason: str
    day: date | None = None


@dataclass(frozen=True, slots=True)
class LogListing:
    """The folder of a log as it is now, for whoever wants its days or the files of some."""

    fs: fsspec.AbstractFileSystem
    uri: str
    root: str
    partition: str
    days: tuple[date, ...]
    left_aside: tuple[LeftAside, ...]

    def files_of(self, day: date) -> tuple[list[Info], list[LeftAside]]:
        """Files that may hold the day's rows, by name, and what else is there; Refusal where rows would be left out.

        What begins with `_` or `.` is another tool's note, and counts as neither.
        """
        folder = f"{self.partition}={day}"
        where = f"{self.uri}/{folder}"
        try:
            infos = sorted(self.fs.ls(f"{self.root}/{folder}", detail=True), key=lambda info: str(info["name"]))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Refusal(
                found="no such day",
                expected="a folder of Parquet files",
                where=where,
                remedy="choose a day that the log has, or wait until it is written",
            ) from error
        _refuse_table_format(self.fs, infos, where)
        data, left_aside = [], []
        for info in (_followed(self.fs, info) for info in infos if not _is_note(info)):
            reason = _why_no_data(self.fs, info, where)
            if reason:
                left_aside.append(LeftAside(self.fs.unstrip_protocol(info["name"]), reason, day))
            else:
                data.append(info)
        if not data:
            raise without_files(where, left_aside)
        return data, left_aside


def look(logs_uri: str, spec: FeatureSpec) -> LogListing:
    """List the log anew, whatever this process has seen of it before. A folder that is not there has no days."""
    prefix = f"{spec.partition}="
    refused: tuple[type[Exception], ...] = (ValueError, ImportError, *files.errors())
    try:
        fs, root = fsspec.core.url_to_fs(logs_uri)
        fs.invalidate_cache()  # object stores keep listings, with sizes, as long as the process lives
        infos = _listed(fs, root)
    except refused as error:
        raise Refusal(
            found=f"{type(error).__name__}: {error}",
            expected="a folder that can be listed",
            where=logs_uri,
            remedy="check the URI and the credentials of its file system",
        ) from error
    _refuse_table_format(fs, infos, logs_uri)
    if _name(root) == "data":  # of an Iceberg table, whose metadata lie beside it
        with suppress(*files.errors()):
            _refuse_iceberg(_listed(fs, f"{root.rpartition('/')[0]}/metadata"), logs_uri)
    days, left_aside = set(), []
    for info in infos:
        name = _name(info["name"])
        if not name.startswith(prefix):
            continue
        reason = _why_no_day(info, name.removeprefix(prefix))
        if reason:
            left_aside.append(LeftAside(fs.unstrip_protocol(info["name"]), reason))
        else:
            days.add(_parse_day(name.removeprefix(prefix), logs_uri))
    return LogListing(fs, logs_uri, root, spec.partition, tuple(sorted(days)), tuple(left_aside))


def days_of(logs_uri: str, spec: FeatureSpec) -> list[date]:
    """Days with a `<partition>=YYYY-MM-DD` folder, oldest first."""
    listing = look(logs_uri, spec)
    if not listing.days:
        raise layouts.no_log(listing.fs, listing.root, _listed(listing.fs, listing.root), spec.partition, logs_uri)
    return list(listing.days)


def without_files(where: str, left_aside: Sequence[LeftAside]) -> Refusal:
    names = sorted(_name(one.uri) for one in left_aside if one.reason == NOT_PARQUET)
    what = f" that hold rows; {in_words(left_aside)}" * bool(left_aside)
    return Refusal(
        found="a day without files" + what + (f": {layouts.kinds_in_words(names)}" if names else ""),
        expected="at least one Parquet file",
        where=where,
        remedy=layouts.remedy_of_files(names) or "write the day again, or leave it out of the split's dates",
    )


def in_words(left_aside: Sequence[LeftAside]) -> str:
    """How many were left aside for which reasons, for a note; empty where none was."""
    reasons = Counter(one.reason for one in left_aside)
    counts = ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
    return f"{len(left_aside)} left aside ({counts})" if left_aside else ""


def _listed(fs: fsspec.AbstractFileSystem, path: str) -> list[Info]:
    try:
        return list(fs.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _name(path: str) -> str:
    return str(path).rstrip("/").rsplit("/", 1)[-1]


def _is_note(info: Info) -> bool:
    return _name(info["name"])[:1] in ("_", ".")


def _parse_day(text: str, logs_uri: str) -> date:
    """Python reads other spellings too, which would then be looked for under this one."""
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if str(day) == text:
            return day
    raise Refusal(
        found=f"a partition named {text!r}",
        expected="a day, YYYY-MM-DD",
        where=logs_uri,
        remedy="write the day alone, as pyarrow.compute.strftime(rows['time'], '%Y-%m-%d') does (`From CSV` in "
        f"{layouts.PAGE}), rename the folder, or move it out of the log",
    )


def _why_no_day(info: Info, text: str) -> str | None:
    if text == HIVE_NULL:
        return "rows without a day"
    if text.endswith(HADOOP_FOLDER) and not info["size"]:
        return "zero bytes"
    return None


def _why_no_data(fs: fsspec.AbstractFileSystem, info: Info, where: str) -> str | None:
    """Why this holds no rows, None where it may; Refusal for a folder that has some."""
    if info["type"] == "directory":
        _refuse_nested(fs, info, where)
        return "an empty folder"
    if info["type"] != "file":
        return "neither file nor folder"
    return None if info["size"] else "zero bytes"


def _followed(fs: fsspec.AbstractFileSystem, info: Info) -> Info:
    """What a symbolic link leads to, under the link's own name."""
    if not info.get("islink"):
        return info
    try:
        return {**fs.info(info["name"]), "name": info["name"]}
    except OSError as error:
        raise Refusal(
            found=f"a symbolic link that leads nowhere, to {info.get('destination', 'itself')!s}",
            expected="a link to a Parquet file",
            where=fs.unstrip_protocol(info["name"]),
            remedy="put the file back that it leads to, or remove the link",
        ) from error


def _refuse_nested(fs: fsspec.AbstractFileSystem, info: Info, where: str) -> None:
    """Raise Refusal for a folder inside a day with anything in it but other tools' notes."""
    path = str(info["name"]).rstrip("/")
    for name, inner in fs.find(path, detail=True).items():
        is_note = any(word[:1] in ("_", ".") for word in name.removeprefix(path).strip("/").split("/"))
        if inner["size"] and not is_note:
            raise Refusal(
                found=f"a folder inside the day: {_name(path)}/, which holds {_name(name)}",
                expected="the day's Parquet files side by side in its folder",
                where=where,
                remedy="move the files up into the day's folder, or write the log partitioned by day alone: "
                f"`Other layouts` in {layouts.PAGE}",
            )


def _refuse_table_format(fs: fsspec.AbstractFileSystem, infos: Sequence[Info], where: str) -> None:
    """Raise Refusal where these lie in a table whose log says which of its files count."""
    for info in infos:
        name = _name(info["name"])
        if name in TABLE_FORMATS:
            raise _table_format(TABLE_FORMATS[name], name, where)
        if name == "metadata" and info["type"] == "directory":
            _refuse_iceberg(_listed(fs, info["name"]), where)


def _refuse_iceberg(metadata: Sequence[Info], where: str) -> None:
    for info in metadata:
        if str(info["name"]).endswith(".metadata.json"):
            raise _table_format("an Apache Iceberg table", f"metadata/{_name(info['name'])}", where)


def _table_format(what: str, marker: str, where: str) -> Refusal:
    return Refusal(
        found=f"{what}, by its {marker}",
        expected="plain Parquet files: in a table's folder, rows that were rewritten would count twice",
        where=where,
        remedy="export the days from the table to a log of plain Parquet, and set data.logs_uri to that",
    )
