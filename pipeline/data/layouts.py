"""What a folder holds that is no log by day, in words, and what would make it one."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from pipeline.runtime import files
from schemas.errors import Refusal

PAGE = "jobs/first-hour.md"
KEYED = re.compile(r"(\w+)=(.*)")
DAY = re.compile(r"(?<!\d)\d{4}([-_]?)[01]\d\1[0-3]\d(?!\d)")
PACKED = {"gz": "gzipped", "bz2": "bzipped", "zst": "zstd", "zip": "zipped"}
KINDS = {"csv": "CSV", "tsv": "TSV", "json": "JSON", "jsonl": "JSON", "ndjson": "JSON", "avro": "Avro", "orc": "ORC"}
KINDS |= dict.fromkeys(("parquet", "parq", "pq"), "Parquet")
MOST_FOLDERS = 20  # that are looked into for the log, where it may lie one level deeper
Info = dict[str, Any]


def no_log(fs: fsspec.AbstractFileSystem, root: str, infos: Sequence[Info], partition: str, logs_uri: str) -> Refusal:
    """What there is in the place of the days' folders, and which key or recipe reads it."""
    folders = sorted(_name(info) for info in infos if info["type"] == "directory")
    names = sorted(_name(info) for info in infos if info["type"] != "directory")
    names = [name for name in names if name[:1] not in ("_", ".")]
    what, remedy = (
        _as_a_day(root, partition, logs_uri)
        or _as_keyed(fs, root, folders, partition)
        or _as_days(folders, partition)
        or _one_deeper(fs, root, folders, partition, logs_uri)
        or _as_files(names, partition)
        or _as_nothing(fs, root, folders, names)
    )
    return Refusal(
        found=f"no {partition}=YYYY-MM-DD folder; {what}",
        expected=f"one folder a day, for example {partition}=2026-11-19/",
        where=logs_uri,
        remedy=remedy,
    )


def require_folder(logs_uri: str) -> None:
    """Raise Refusal for a file on this machine in the place of the log, with what makes a log of such."""
    path, is_file = Path(logs_uri), False
    with suppress(OSError, ValueError):  # what no path can be is refused elsewhere
        is_file = path.is_file()
    if is_file:
        raise Refusal(
            found=f"a file, {path.name}",
            expected="the folder that holds a folder a day",
            where=f"data.logs_uri: {logs_uri}",
            remedy=remedy_of_files([path.name]) or f"write it by day: `Other layouts` in {PAGE}",
        )


def kinds_in_words(names: Sequence[str]) -> str:
    """How many files of which kinds, each with the first and last of their names: `7 CSV files, a.csv to g.csv`."""
    of_kind: dict[str, list[str]] = {}
    for name in names:
        of_kind.setdefault(_kind(name), []).append(name)
    return "; ".join(
        f"{len(alike)} {kind}file{'s' * (len(alike) > 1)}, {_first_to_last(alike)}"
        for kind, alike in sorted(of_kind.items(), key=lambda one: (not one[0], -len(one[1])))
    )


def remedy_of_files(names: Sequence[str]) -> str:
    """What makes days of files of these names, Parquet or other; empty where nobody knows what they hold."""
    kinds = {word for name in names for word in _kind(name).split()}
    if kinds - {*PACKED.values(), "Parquet"}:
        return f"write them as Parquet, by day: `From CSV` in {PAGE} does it in five lines"
    return "unpack them: Parquet is packed within itself" if kinds & {*PACKED.values()} else ""


def _as_a_day(root: str, partition: str, logs_uri: str) -> tuple[str, str] | None:
    name = root.rstrip("/").rpartition("/")[2]
    if not name.startswith(f"{partition}="):
        return None
    return "it is the folder of a day itself", f"set data.logs_uri to {logs_uri.rstrip('/').removesuffix(f'/{name}')}"


def _as_keyed(
    fs: fsspec.AbstractFileSystem, root: str, folders: Sequence[str], partition: str
) -> tuple[str, str] | None:
    """Of folders by another key than the partition, one of which may name the days."""
    keyed = [found for name in folders if (found := KEYED.fullmatch(name))]
    if not keyed:
        return None
    of_days = [found for found in keyed if DAY.fullmatch(found[2])]
    if not of_days:
        what, below = _folders([found[0] for found in keyed]), _below(fs, root, keyed[0][0])
        remedy = f"write the log anew with one folder a day, {partition}=YYYY-MM-DD/: `Other layouts` in {PAGE}"
        return what + f"; the first holds {below}" * bool(below), remedy
    key = of_days[0][1]
    spelled = [found[2] for found in of_days if "-" not in found[2]]
    rename = f", and rename the folders, whose days are to be YYYY-MM-DD and not {spelled[0]}" if spelled else ""
    return _folders([found[0] for found in of_days]), f"set `partition: {key}` in the feature spec{rename}"


def _below(fs: fsspec.AbstractFileSystem, root: str, folder: str) -> str:
    """The first folders inside one another, as `month=11/day=24/`; empty where there are none."""
    path, found = f"{root}/{folder}", ""
    with suppress(*files.errors()):
        while inner := sorted(_name(info) for info in fs.ls(path, detail=True) if info["type"] == "directory"):
            path, found = f"{path}/{inner[0]}", f"{found}{inner[0]}/"
    return found


def _as_days(folders: Sequence[str], partition: str) -> tuple[str, str] | None:
    days = [name for name in folders if DAY.fullmatch(name)]
    if not days:
        return None
    return _folders(days), f"rename them to {partition}=YYYY-MM-DD, in a line of shell: `Other layouts` in {PAGE}"


def _as_files(names: Sequence[str], partition: str) -> tuple[str, str] | None:
    if not any(map(_kind, names)):
        return None
    what = kinds_in_words(names)
    return what, remedy_of_files(names) or f"move them into a folder a day, {partition}=...: `Other layouts` in {PAGE}"


def _one_deeper(
    fs: fsspec.AbstractFileSystem, root: str, folders: Sequence[str], partition: str, logs_uri: str
) -> tuple[str, str] | None:
    for folder in folders[:MOST_FOLDERS]:
        with suppress(*files.errors()):
            days = [_name(info) for info in fs.ls(f"{root}/{folder}", detail=True)]
            days = sorted(name for name in days if name.startswith(f"{partition}="))
            if days:
                what = f"{folder}/ holds {_folders(days)}"
                return what, f"set data.logs_uri to {logs_uri.rstrip('/')}/{folder}"
    return None


def _as_nothing(
    fs: fsspec.AbstractFileSystem, root: str, folders: Sequence[str], names: Sequence[str]
) -> tuple[str, str]:
    what = "; ".join([*([_folders(folders)] if folders else []), *([kinds_in_words(names)] if names else [])])
    is_there = bool(what)
    with suppress(*files.errors()):
        is_there = is_there or fs.exists(root)
    remedy = "set data.logs_uri to the folder that holds the days, or write a log with `nightjar generate`"
    return what or ("it is empty" if is_there else "there is no such folder"), remedy


def _folders(names: Sequence[str]) -> str:
    return f"{len(names)} folder{'s' * (len(names) > 1)}, {_first_to_last([f'{name}/' for name in names])}"


def _first_to_last(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _kind(name: str) -> str:
    """`CSV `, `gzipped CSV `, or nothing of a name that tells nothing."""
    *_, before, last = ["", "", *name.lower().split(".")]
    words = [PACKED.get(last, ""), KINDS.get(before if last in PACKED else last, "")]
    return "".join(f"{word} " for word in words if word)


def _name(info: Info) -> str:
    return str(info["name"]).rstrip("/").rsplit("/", 1)[-1]
