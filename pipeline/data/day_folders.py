"""Days by the names of folders: `date=2026-11-08/`, or several levels of them that tell year, month, day and hour."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import fsspec

from pipeline.data import day_column, entries, folder_guess, footer, layouts, table_formats
from pipeline.data.entries import Info, name_of
from pipeline.data.folder_tree import Folder, Tree
from pipeline.data.left_aside import NOT_PARQUET, ZERO_BYTES, LeftAside
from pipeline.data.log_listing import FOOTER_THREADS, Check, LogListing, without_files
from pipeline.data.manifest import LogFile, Manifest
from pipeline.data.missing_hours import MissingHours
from pipeline.data.times import hours_of
from pipeline.data.unknown_columns import UnknownColumn
from pipeline.runtime import files
from schemas.errors import Refusal
from schemas.folder_path import FolderPath
from schemas.partitioning import PathFolders


@dataclass(frozen=True, slots=True)
class DayFiles:
    """What lies in the folders of a day: files that may hold rows, in the order of hours, then of names."""

    infos: tuple[Info, ...]
    left_aside: tuple[LeftAside, ...]
    hours: frozenset[int]
    """That are there: with files, or marked as complete without one."""


@dataclass(frozen=True, slots=True)
class FolderListing(LogListing):
    """The log as its folders divide it."""

    tree: Tree
    timezone: str
    folders: Mapping[date, tuple[Folder, ...]]
    """Those that tell the day; hours may lie below them, or be told by them too."""
    left_aside: tuple[LeftAside, ...]
    """Beside the days."""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.tree.path.keys

    def read(self, days: Sequence[date], check: Check) -> Manifest:
        self.require(days)
        with ThreadPoolExecutor(FOOTER_THREADS) as pool:
            of_days = dict(zip(days, pool.map(self._files_of, days), strict=True))
            candidates = [(day, info) for day, found in of_days.items() for info in found.infos]
            read = [*pool.map(lambda found: self._read(found[0], found[1], check), candidates)]
        beside = Manifest((), self.left_aside)
        missing = [MissingHours(day, hours) for day in days if (hours := self._missing(day, of_days[day]))]
        listed = [Manifest((), found.left_aside) for found in of_days.values()]
        return Manifest.of([beside, *listed, *read, Manifest((), missing_hours=tuple(missing))])

    def places_of(self, day: date) -> tuple[str, ...]:
        return tuple(map(self.tree.where, self.folders[day])) if day in self.folders else (self.uri,)

    def missing_hours(self, day: date) -> tuple[int, ...]:
        return self._missing(day, self._files_of(day))

    def is_marked(self, day: date) -> bool:
        """In the day's own folder, or in that of each of its hours."""
        has_its_own = all("HH" not in folder.told for folder in self.folders[day])
        if has_its_own and all(map(files.is_complete, self.places_of(day))):
            return True
        hours = self._leaves(day)[0] if self.has_hours else []
        marked = {leaf.told["HH"] for leaf in hours if files.is_complete(self.tree.where(leaf))}
        return self.has_hours and {*hours_of(day, self.timezone)} <= marked

    @property
    def has_hours(self) -> bool:
        return self.tree.path.has_hours

    def _missing(self, day: date, found: DayFiles) -> tuple[int, ...]:
        if not self.has_hours:
            return ()
        return tuple(hour for hour in hours_of(day, self.timezone) if hour not in found.hours)

    def _leaves(self, day: date) -> tuple[list[Folder], list[LeftAside]]:
        """The folders of the day that hold files."""
        folders, left_aside = [*self.folders[day]], list[LeftAside]()
        for depth in range(self.tree.path.num_day_levels, len(self.tree.path.levels)):
            found = [self.tree.below(folder, depth) for folder in folders]
            folders = [one for below, _ in found for one in below]
            left_aside += [one for _, others in found for one in others]
        return folders, left_aside

    def _files_of(self, day: date) -> DayFiles:
        """What begins with `_` or `.` is another tool's note, and counts as neither."""
        folders, left_aside = self._leaves(day)
        infos: list[Info] = []
        hours: set[int] = set()
        for folder in folders:
            listed = entries.listed(self.fs, folder.path)
            table_formats.refuse(self.fs, listed, self.tree.where(folder))
            found = 0
            for info in (entries.followed(self.fs, info) for info in entries.without_notes(listed)):
                reason = self._why_no_data(info, folder)
                if reason:
                    left_aside.append(LeftAside(self.fs.unstrip_protocol(info["name"]), reason, day))
                else:
                    infos.append(info)
                    found += 1
            if found or any(name_of(info) == files.SUCCESS for info in listed):
                hours |= {folder.told["HH"]} if "HH" in folder.told else set()
        if not infos:
            raise without_files(self.where(day), left_aside)
        return DayFiles(tuple(infos), tuple(left_aside), frozenset(hours))

    def _why_no_data(self, info: Info, folder: Folder) -> str | None:
        """Why this holds no rows, None where it may; Refusal for a folder that has some."""
        if info["type"] == "directory":
            inner = entries.first_within(self.fs, info)
            if inner:
                raise _nested(name_of(info), name_of({"name": inner}), self.tree, folder)
            return "an empty folder"
        if info["type"] != "file":
            return "neither file nor folder"
        return None if info["size"] else ZERO_BYTES

    def _read(self, day: date, info: Info, check: Check) -> Manifest:
        """What one file adds to the manifest."""
        found = footer.read(self.fs, info)
        if found is None:
            uri = self.fs.unstrip_protocol(info["name"])
            return Manifest((), (LeftAside(uri, NOT_PARQUET, day),))
        unknown = tuple(UnknownColumn(day, name) for name in check(found.schema_arrow, where=found.uri))
        file = LogFile(found.uri, day, found.size_bytes, found.row_group_rows, found.sha256)
        key = self.tree.path.day_key
        is_proven = key is None or day_column.is_proven(found, key, day)
        return Manifest((file,), unproven_column=None if is_proven else key, unknown_columns=unknown)


def list_folders(fs: fsspec.AbstractFileSystem, root: str, uri: str, path: FolderPath, timezone: str) -> FolderListing:
    """Raises Refusal where the log has no day, or one in another spelling."""
    tree = Tree(fs, uri, path)
    folders, left_aside = [Folder(root)], list[LeftAside]()
    for depth in range(path.num_day_levels):
        found = [tree.below(folder, depth) for folder in folders]
        folders = [one for below, _ in found for one in below]
        left_aside += [one for _, others in found for one in others]
    of_day: dict[date, tuple[Folder, ...]] = {}
    for folder in folders:
        assert folder.day
        of_day[folder.day] = (*of_day.get(folder.day, ()), folder)
    if not of_day:
        raise layouts.no_log(fs, root, path, uri)
    return FolderListing(fs, uri, tuple(sorted(of_day)), tree, timezone, of_day, tuple(left_aside))


def _nested(name: str, inner: str, tree: Tree, folder: Folder) -> Refusal:
    guess = folder_guess.level_of(name, folder.told)
    remedy = "move the files up into the day's folder, or write the log partitioned by day alone"
    if guess:
        below = PathFolders(by="path", path=f"{tree.path}/{guess}")
        remedy = f"set `{layouts.setting(below)}`, which reads hours below their day"
    return Refusal(
        found=f"a folder inside the day: {name}/, which holds {inner}",
        expected="the day's Parquet files side by side in its folder",
        where=tree.where(folder),
        remedy=f"{remedy}: `Other layouts` in {layouts.PAGE}",
    )
