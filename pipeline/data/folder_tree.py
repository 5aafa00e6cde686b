"""Go down the folders of a log, level by level, so that nothing with rows is passed over in silence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import fsspec

from pipeline.data import entries, folder_guess, footer, layouts, table_formats
from pipeline.data.entries import Info, name_of
from pipeline.data.left_aside import NOT_PARQUET, WITHOUT_A_DAY, ZERO_BYTES, LeftAside
from schemas.errors import Refusal
from schemas.folder_path import FolderPath, Level, day_of
from schemas.partitioning import PathFolders

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
HADOOP_FOLDER = "_$folder$"
NOUNS = {"YYYY": "a year", "MM": "a month", "DD": "a day", "HH": "an hour"}


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the log: its path, and what the names down to it have told of the time."""

    path: str
    told: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @property
    def day(self) -> date | None:
        return day_of(self.told) if {"YYYY", "MM", "DD"} <= self.told.keys() else None


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders below a log's own, as its path names them."""

    fs: fsspec.AbstractFileSystem
    uri: str
    path: FolderPath

    def where(self, folder: Folder) -> str:
        """For a refusal: as the log's own URI is written."""
        return "/".join([self.uri, *folder.names])

    def below(self, folder: Folder, depth: int) -> tuple[list[Folder], list[LeftAside]]:
        """The folders of the level at this depth that lie in one of the level above, and what else does.

        What lies beside those of the first level, the log may hold for other ends. Raises Refusal for a name that is
        spelled otherwise, for two of the same time, and for rows beside these folders.
        """
        level, where = self.path.levels[depth], self.where(folder)
        infos = entries.listed(self.fs, folder.path)
        table_formats.refuse(self.fs, infos, where)
        found: dict[tuple[tuple[str, int], ...], Folder] = {}
        left_aside = []
        for info in infos:
            name = name_of(info)
            if not _is_of(level, info):
                if depth and not entries.is_note(name):
                    left_aside.append(LeftAside(self._uri(info), self._why_beside(info, level, where), folder.day))
                continue
            reason = _why_no_time(info, name.removeprefix(level.key))
            if reason:
                left_aside.append(LeftAside(self._uri(info), reason, folder.day))
                continue
            one = self._one(folder, level, name, where)
            first = found.setdefault(tuple(sorted(one.told.items())), one)
            if first.names != one.names:  # as are those of a bucket's folder and of the marker beside it
                raise _spelled_twice(first.names[-1], name, where)
        return sorted(found.values(), key=lambda one: sorted(one.told.items())), left_aside

    def _one(self, folder: Folder, level: Level, name: str, where: str) -> Folder:
        said = level.read(name)
        told = {**folder.told, **(said or {})}
        is_of_folder = all(told[part] == value for part, value in folder.told.items())
        if said is None or not is_of_folder or not _is_time(told):
            raise _other_spelling(level, name, where, folder)
        return Folder(f"{folder.path.rstrip('/')}/{name}", told, (*folder.names, name))

    def _why_beside(self, info: Info, level: Level, where: str) -> str:
        """Why this holds no rows; Refusal where it does."""
        if info["type"] == "directory":
            if entries.first_within(self.fs, info) is None:
                return "an empty folder"
        elif not info["size"]:
            return ZERO_BYTES
        elif not footer.is_parquet(self.fs, info):
            return NOT_PARQUET
        raise Refusal(
            found=f"{name_of(info)}{'/' * (info['type'] == 'directory')}, which holds rows, beside folders {level}",
            expected=f"rows in folders {self.path}, and nowhere else: one log is divided in one way",
            where=where,
            remedy="move it into the folder of its rows, or out of the log; or set data.partitioning: `Other layouts` "
            f"in {layouts.PAGE}",
        )

    def _uri(self, info: Info) -> str:
        return str(self.fs.unstrip_protocol(info["name"]))


def _is_of(level: Level, info: Info) -> bool:
    """By its key; without one each folder is, but for other tools' own."""
    name = name_of(info)
    return name.startswith(level.key) if level.key else info["type"] == "directory" and not entries.is_note(name)


def _why_no_time(info: Info, text: str) -> str | None:
    if text == HIVE_NULL:
        return WITHOUT_A_DAY
    if text.endswith(HADOOP_FOLDER) and not info["size"]:
        return ZERO_BYTES
    return None


def _is_time(told: Mapping[str, int]) -> bool:
    whole = {"YYYY": 2000, "MM": 1, "DD": 1, "HH": 0, **told}
    return day_of(whole) is not None and whole["HH"] < 24


def _other_spelling(level: Level, name: str, where: str, folder: Folder) -> Refusal:
    parts = level.parts
    noun = NOUNS["DD" if {"YYYY", "MM", "DD"} <= {*parts} else parts[-1]]
    guess = folder_guess.level_of(name, folder.told)
    reads = ""
    if guess and guess.key and not folder.told and {"YYYY", "MM", "DD"} <= {*guess.parts}:
        reads = (
            f"`{layouts.setting(PathFolders(by='path', path=str(guess)))}` reads days that are all spelled so; else "
        )
    strftime = level.spelling
    for part, directive in {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H"}.items():
        strftime = strftime.replace(part, directive)
    return Refusal(
        found=f"a partition named {name.removeprefix(level.key)!r}",
        expected=f"{noun}, {level.spelling}",
        where=where,
        remedy=f"{reads}write it alone, as pyarrow.compute.strftime(rows['time'], '{strftime}') does "
        f"(`Other layouts` in {layouts.PAGE}), rename the folder, or move it out of the log",
    )


def _spelled_twice(first: str, second: str, where: str) -> Refusal:
    return Refusal(
        found=f"two folders of the same time, {first}/ and {second}/",
        expected="each folder once, so that no row counts twice",
        where=where,
        remedy="move the rows of one into the other, or move it out of the log",
    )
