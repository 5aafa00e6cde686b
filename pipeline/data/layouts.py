"""What a folder holds that is no log by day, in words, and what would make it one."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import fsspec

from pipeline.data import entries, folder_guess
from pipeline.data.entries import name_of
from pipeline.runtime import files
from schemas.errors import Refusal
from schemas.folder_path import FolderPath
from schemas.partitioning import DEFAULT, Partitioning, PathFolders

PAGE = "jobs/first-hour.md"
EXAMPLE = {"YYYY": 2026, "MM": 11, "DD": 19, "HH": 3}
PACKED = {"gz": "gzipped", "bz2": "bzipped", "zst": "zstd", "zip": "zipped"}
KINDS = {"csv": "CSV", "tsv": "TSV", "json": "JSON", "jsonl": "JSON", "ndjson": "JSON", "avro": "Avro", "orc": "ORC"}
KINDS |= dict.fromkeys(("parquet", "parq", "pq"), "Parquet")
MOST_FOLDERS = 20  # that are looked into for the log, where it may lie one level deeper


def no_log(fs: fsspec.AbstractFileSystem, root: str, path: FolderPath, logs_uri: str) -> Refusal:
    """What there is in the place of the days' folders, and which key or recipe reads it."""
    infos = entries.listed(fs, root)
    folders = [name_of(info) for info in infos if info["type"] == "directory"]
    names = [name_of(info) for info in entries.without_notes(infos) if info["type"] != "directory"]
    what, remedy = (
        _as_a_day(root, path, logs_uri)
        or _as_guessed(fs, root, folders, names)
        or _one_deeper(fs, root, folders, path, logs_uri)
        or _as_files(names, path)
        or _as_nothing(fs, root, folders, names)
    )
    return Refusal(
        found=f"no {path} folder; {what}",
        expected=f"one folder a day, for example {path.example(EXAMPLE)}/",
        where=logs_uri,
        remedy=remedy,
    )


def setting(partitioning: Partitioning) -> str:
    """As it stands in a config."""
    own = ", ".join(f"{key}: {value}" for key, value in partitioning.model_dump().items())
    return f"data.partitioning: {{{own}}}"


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
        of_kind.setdefault(kind_of(name), []).append(name)
    return "; ".join(
        f"{len(alike)} {kind}{' ' * bool(kind)}file{'s' * (len(alike) > 1)}, {_first_to_last(alike)}"
        for kind, alike in sorted(of_kind.items(), key=lambda one: (not one[0], -len(one[1])))
    )


def remedy_of_files(names: Sequence[str]) -> str:
    """What makes days of files of these names, Parquet or other; empty where nobody knows what they hold."""
    kinds = {word for name in names for word in kind_of(name).split()}
    if kinds & {"CSV", "TSV"}:
        return f"make a log of them: nightjar import csv (`From CSV` in {PAGE})"
    if kinds - {*PACKED.values(), "Parquet"}:
        return f"write them as Parquet, by day: `Other layouts` in {PAGE}"
    return "unpack them: Parquet is packed within itself" if kinds & {*PACKED.values()} else ""


def _as_a_day(root: str, path: FolderPath, logs_uri: str) -> tuple[str, str] | None:
    name = root.rstrip("/").rpartition("/")[2]
    if path.levels[0].read(name) is None:
        return None
    return "it is the folder of a day itself", f"set data.logs_uri to {logs_uri.rstrip('/').removesuffix(f'/{name}')}"


def _as_guessed(
    fs: fsspec.AbstractFileSystem, root: str, folders: Sequence[str], names: Sequence[str]
) -> tuple[str, str] | None:
    """What another partitioning would read, and which."""
    guess = folder_guess.found(fs, root)
    if guess is None:
        return None
    if guess.by == "column":
        return _whatever(folders, names), f"set `{setting(guess)}`, or another column that tells when the row was"
    read = PathFolders(by="path", path=DEFAULT) if guess.by == "day" else guess  # whatever the spec's `partition` is
    alike = [name for name in folders if folder_guess.level_of(name, {})]
    below = _below(fs, root, alike[0])
    return _folders(alike) + f"; the first holds {below}" * bool(below), f"set `{setting(read)}`"


def _below(fs: fsspec.AbstractFileSystem, root: str, folder: str) -> str:
    """The first folders inside one another, as `month=11/day=24/`; empty where there are none."""
    path, found = f"{root}/{folder}", ""
    with suppress(*files.errors()):
        while inner := [name_of(info) for info in entries.listed(fs, path) if info["type"] == "directory"]:
            path, found = f"{path}/{inner[0]}", f"{found}{inner[0]}/"
    return found


def _as_files(names: Sequence[str], path: FolderPath) -> tuple[str, str] | None:
    if not any(map(kind_of, names)):
        return None
    what = kinds_in_words(names)
    return what, remedy_of_files(names) or f"move them into a folder a day, {path}: `Other layouts` in {PAGE}"


def _one_deeper(
    fs: fsspec.AbstractFileSystem, root: str, folders: Sequence[str], path: FolderPath, logs_uri: str
) -> tuple[str, str] | None:
    for folder in folders[:MOST_FOLDERS]:
        with suppress(*files.errors()):
            days = [name_of(info) for info in entries.listed(fs, f"{root}/{folder}")]
            days = [name for name in days if path.levels[0].read(name)]
            if days:
                what = f"{folder}/ holds {_folders(days)}"
                return what, f"set data.logs_uri to {logs_uri.rstrip('/')}/{folder}"
    return None


def _as_nothing(
    fs: fsspec.AbstractFileSystem, root: str, folders: Sequence[str], names: Sequence[str]
) -> tuple[str, str]:
    what = _whatever(folders, names)
    is_there = bool(what)
    with suppress(*files.errors()):
        is_there = is_there or fs.exists(root)
    remedy = "set data.logs_uri to the folder that holds the days, or write a log with `nightjar generate`"
    return what or ("it is empty" if is_there else "there is no such folder"), remedy


def _whatever(folders: Sequence[str], names: Sequence[str]) -> str:
    """Of both how many there are, and which; empty where there are none."""
    return "; ".join([*([_folders(folders)] if folders else []), *([kinds_in_words(names)] if names else [])])


def _folders(names: Sequence[str]) -> str:
    return f"{len(names)} folder{'s' * (len(names) > 1)}, {_first_to_last([f'{name}/' for name in names])}"


def _first_to_last(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def kind_of(name: str) -> str:
    """`CSV`, `gzipped CSV`, or nothing of a name that tells nothing."""
    *_, before, last = ["", "", *name.lower().split(".")]
    words = [PACKED.get(last, ""), KINDS.get(before if last in PACKED else last, "")]
    return " ".join(word for word in words if word)
