"""The files of a log that nobody has described yet, or some from all over it: Parquet or CSV, by day or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import fsspec

from pipeline.data import entries, layouts, table_formats
from pipeline.data.entries import Info, name_of
from pipeline.runtime import files
from schemas.errors import Refusal, on_one_line

Place = TypeVar("Place")
Kind = Literal["parquet", "csv"]
MOST_FILES = 400
MAGIC = b"PAR1"
CSV_KINDS = {"CSV", "TSV"}
NOTES = (".json", ".yaml", ".yml", ".md", ".txt", ".crc")  # which lie beside rows, as the truth of a synthetic log does
QUARANTINE = "quarantine"  # of an import


@dataclass(frozen=True, slots=True)
class LogFiles:
    """Files of one kind, from all over the log; it has `share_of_files` times as many, or about so many."""

    fs: fsspec.AbstractFileSystem
    uri: str
    """Of the log's folder, or its one file."""
    root: str
    """The same as the file system names it."""
    kind: Kind
    files: tuple[str, ...]
    share_of_files: float = 1.0

    @property
    def is_file(self) -> bool:
        return self.files == (self.root,)


def find(uri: str) -> LogFiles:
    """The log at a URI: a file, or a folder with files anywhere below it. Refusal for what can't be looked at."""
    files.require_usable(uri, "LOGS", "file")
    refused: tuple[type[Exception], ...] = (ValueError, ImportError, *files.errors())
    try:
        return _found(uri)
    except Refusal:  # a ValueError, too
        raise
    except FileNotFoundError as error:
        raise Refusal(
            found="nothing of that name",
            expected="a folder of Parquet or CSV files, or one of them",
            where=uri,
            remedy="correct the path; `nightjar generate` writes a log to try",
        ) from error
    except refused as error:
        raise Refusal(
            found=f"{type(error).__name__}: {on_one_line(error)}",
            expected="a folder that can be listed, or a file that can be read",
            where=uri,
            remedy="check the URI, the permissions and the credentials of its file system",
        ) from error


def spread(places: Sequence[Place], most: int) -> list[Place]:
    """At most so many of the places, in their order, the first and the last among them."""
    if len(places) <= most:
        return list(places)
    return [places[round(index * (len(places) - 1) / max(1, most - 1))] for index in range(most)]


def _found(uri: str) -> LogFiles:
    fs, root = fsspec.core.url_to_fs(uri)
    fs.invalidate_cache()
    if fs.info(root)["type"] != "directory":
        return LogFiles(fs, uri, root, _kind_of([root], fs, uri), (root,))
    table_formats.refuse_data_of(fs, root, uri)
    chosen, share = _Walk(fs, uri).below(root, MOST_FILES)
    if not chosen:
        raise Refusal(
            found="a folder without files that hold rows",
            expected="Parquet or CSV files in it, or in folders by day",
            where=uri,
            remedy="name the folder that holds the log",
        )
    return LogFiles(fs, uri, root, _kind_of(chosen, fs, uri), tuple(chosen), share)


@dataclass(frozen=True, slots=True)
class _Walk:
    """Goes down a folder; of many folders inside one, and of many files, it looks at some, evenly spread by name."""

    fs: fsspec.AbstractFileSystem
    uri: str

    def below(self, folder: str, most: int) -> tuple[list[str], float]:
        """(at most so many files, how many there are for each of them)."""
        infos = entries.listed(self.fs, folder)
        table_formats.refuse(self.fs, infos, self.uri)
        infos = [entries.followed(self.fs, one) for one in entries.without_notes(infos)]
        folders = [one["name"] for one in infos if one["type"] == "directory" and name_of(one) != QUARANTINE]
        own = [one["name"] for one in infos if _may_hold_rows(one)]
        if not folders:
            chosen = spread(own, most)
            return chosen, len(own) / max(1, len(chosen))
        looked = spread(folders, most)
        inner = [self.below(one, max(1, most // len(looked))) for one in looked]
        chosen = [*spread(own, most), *(name for names, _ in inner for name in names)]
        total = len(own) + sum(len(names) * share for names, share in inner) * len(folders) / len(looked)
        return chosen, total / max(1, len(chosen))


def _may_hold_rows(info: Info) -> bool:
    return info["type"] == "file" and bool(info["size"]) and not name_of(info).endswith(NOTES)


def _kind_of(paths: Sequence[str], fs: fsspec.AbstractFileSystem, uri: str) -> Kind:
    """By the ends of their names, or their first bytes where these tell nothing; Refusal for others, and for a mix."""
    kinds = {layouts.kind_of(path) or _by_content(fs, path) for path in paths}
    if kinds == {"Parquet"}:
        return "parquet"
    if {kind.rpartition(" ")[2] for kind in kinds} <= CSV_KINDS:
        return "csv"
    names = [name_of({"name": path}) for path in paths]
    remedy = layouts.remedy_of_files(names) or f"write the rows as Parquet or CSV: `From CSV` in {layouts.PAGE}"
    raise Refusal(
        found=layouts.kinds_in_words(names),
        expected="Parquet files alone, or CSV files alone",
        where=uri,
        remedy="name the folder, or the file, that holds the rows and nothing else" if len(kinds) > 1 else remedy,
    )


def _by_content(fs: fsspec.AbstractFileSystem, path: str) -> str:
    return "Parquet" if fs.cat_file(path, start=0, end=len(MAGIC)) == MAGIC else ""
