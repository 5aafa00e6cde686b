"""An import from its files to days of the log, of which none is there before all of them can be.

    logs/date=2026-11-19/part-....parquet, _SUCCESS     the rows of a day; `_SUCCESS` says by which import
    logs/quarantine/<key>.jsonl                         the lines that are left out: file, line, reason, text
    logs/_imports/<key>.json                            what an import came to
    logs/_importing-<key>/                              what waits to become part of the log (`chunks`)

The key is of the files as they are and of how they are read. The same import again changes nothing; killed, it goes on.
"""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import fsspec

from pipeline.intake import records
from pipeline.intake.chunks import Done, Waiting, bad_name, part_name
from pipeline.intake.days import ByLine
from pipeline.intake.formats.form import Format
from pipeline.intake.reading import FileReader
from pipeline.intake.records import Record
from pipeline.intake.sources import Source
from pipeline.intake.writing import Progress, written
from pipeline.runtime import files, fingerprint, replacing
from pipeline.runtime.files import SUCCESS
from pipeline.runtime.lease import lease
from pipeline.runtime.progress import Show
from schemas.errors import Refusal

LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Import:
    """Files of one format, and the log that they are to be part of."""

    form: Format
    sources: tuple[Source, ...]
    logs_uri: str
    by_line: tuple[ByLine, ...] = ()
    """Of each file, the day of its lines; empty where a column says it."""
    max_bad_share: float = 0.0
    overwrite: bool = False
    """Days that another import has written, or anyone else, are replaced."""

    @cached_property
    def key(self) -> str:
        """Of all that decides which rows come of it."""
        return fingerprint.digest(repr(self.form), *map(repr, self.sources), *map(repr, self.by_line))

    @property
    def readers(self) -> list[FileReader]:
        days = self.by_line or [None] * len(self.sources)
        pairs = zip(self.sources, days, strict=True)
        return [FileReader(self.form, source, number, day) for number, (source, day) in enumerate(pairs)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import came to: the rows of each day, and the lines that were left out."""

    rows: dict[str, int]
    num_bad: int
    was_there: bool = False


def run(job: Import, show: Show) -> Outcome:
    """Import, or go on with it, or find that it is done.

    Raises Refusal, with nothing changed in the log, for more lines that break the format than `max_bad_share` allows
    and for a day that something else has written; Busy where another process is at it.
    """
    own = _Run(job, show)
    was_there = files.exists(job.logs_uri)
    try:
        with lease(f"{own.waiting.uri}/lease", LEASE_SECONDS, f"the import into {job.logs_uri}"):
            outcome = own.outcome_before() or own.publish(own.read())
    except Refusal:
        own.leave_nothing(was_there)
        raise
    own.clear()
    return outcome


@dataclass
class _Run:
    """One import at work."""

    job: Import
    show: Show
    free_days: set[str] = field(default_factory=set)
    """Of which it is known that the import may write them."""

    @property
    def waiting(self) -> Waiting:
        """Of this import by this code: what another version has begun is not gone on with."""
        return Waiting(f"{self.job.logs_uri}/{self._prefix}{fingerprint.of_sources('pipeline/intake')}")

    @property
    def _prefix(self) -> str:
        return f"_importing-{self.job.key}-"

    def outcome_before(self) -> Outcome | None:
        """Of the same import, if it is done and all of its days are still there."""
        told = records.read(self.job.logs_uri, self.job.key)
        if told is None or not all(self._is_own(day) for day in told.rows):
            return None
        return Outcome(told.rows, told.num_bad, was_there=True)

    def read(self) -> list[Done]:
        """Write the parts of all files."""
        for by_line in self.job.by_line:
            self._require_free(str(by_line.first_day))
        progress = Progress(self.show, sum(source.num_bytes for source in self.job.sources))
        found = []
        for done, is_new in written(self.waiting, self.job.readers, self.job.max_bad_share):
            for day in done.rows:
                self._require_free(day)
            progress.add(done, is_new=is_new)
            found.append(done)
        if not progress.rows:
            raise Refusal(
                found="no rows",
                expected="at least one",
                where=", ".join(source.uri for source in self.job.sources),
                remedy="name the files that hold rows",
            )
        progress.end()
        return sorted(found, key=lambda done: done.name)

    def publish(self, done: Sequence[Done]) -> Outcome:
        """Put the days into their places, each with `_SUCCESS` as its last file, then tell that it is done."""
        rows, num_bad = _rows_of_days(done), sum(one.num_bad for one in done)
        if num_bad:
            names = [bad_name(one.name) for one in done if one.num_bad]
            lines = b"".join(files.read_bytes(f"{self.waiting.uri}/{name}") for name in names)
            files.write_bytes(quarantine_uri(self.job), lines)
        for day in rows:
            if self._is_own(day):
                continue
            names = [part_name(one.name) for one in done if day in one.rows]
            told = {"import": self.job.key, "files": [source.name for source in self.job.sources], "rows": rows[day]}
            files.mark_complete(self.waiting.folder(day), json.dumps(told).encode())
            aside = f"{self.waiting.uri}/before-{day}"
            replacing.replace(self.waiting.folder(day), self._folder(day), aside, names)
        uris, form = [source.uri for source in self.job.sources], self.job.form
        record = Record(form.name, uris, rows, num_bad, form.timezone_of_days)
        records.write(self.job.logs_uri, self.job.key, record)
        return Outcome(rows, num_bad)

    def clear(self) -> None:
        """Remove what waits, and what an earlier version of Nightjar left waiting."""
        for name in files.folders(self.job.logs_uri):
            if name.startswith(self._prefix):
                files.remove(f"{self.job.logs_uri}/{name}")

    def leave_nothing(self, was_there: bool) -> None:
        """Of an import that is refused; the log's folder goes, too, if nothing `was_there` and nothing is."""
        self.clear()
        fs, path = fsspec.core.url_to_fs(self.job.logs_uri)
        if not was_there and not files.is_remote(self.job.logs_uri):
            with suppress(OSError):  # another import's
                fs.rmdir(path)

    def _folder(self, day: str) -> str:
        return f"{self.job.logs_uri}/date={day}"

    def _is_own(self, day: str) -> bool:
        return self._written_by(day) == self.job.key

    def _written_by(self, day: str) -> str | None:
        """The key of the import that has written the day; empty: something else; None: the day is not there."""
        folder = self._folder(day)
        if not files.exists(folder) or not files.listed(folder):
            return None
        try:
            return str(json.loads(files.read_bytes(f"{folder}/{SUCCESS}"))["import"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return ""

    def _require_free(self, day: str) -> None:
        """Raise Refusal for a day of other rows than this import's, which nobody has said to replace."""
        if day in self.free_days:
            return
        key = self._written_by(day)
        # Cut short while object stores copy it, a day of ours has no `_SUCCESS` yet; the waiting one has.
        is_own = key in (None, self.job.key) or files.is_complete(self.waiting.folder(day))
        if not is_own and not self.job.overwrite:
            raise Refusal(
                found=f"{day}, which {'another import has' if key else 'something else has'} written",
                expected="days that are not in the log yet",
                where=self._folder(day),
                remedy="choose another --out, or replace the day: --overwrite, with all files that hold rows of it",
            )
        self.free_days.add(day)


def quarantine_uri(job: Import) -> str:
    """Where the lines lie that are left out."""
    return f"{job.logs_uri}/quarantine/{job.key}.jsonl"


def _rows_of_days(done: Sequence[Done]) -> dict[str, int]:
    rows: Counter[str] = Counter()
    for one in done:
        rows.update(one.rows)
    return dict(sorted(rows.items()))
