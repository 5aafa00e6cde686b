"""An import from its files to days of the log, of which none is there before all of them can be.

    logs/date=2026-11-19/part-....parquet, _SUCCESS     the rows of a day; `_SUCCESS` says by which import
    logs/quarantine/<key>.jsonl                         the lines that are left out: file, line, reason, text
    logs/_imports/<key>.json                            what an import came to
    logs/_importing-<key>/                              what waits to become part of the log (`chunks`)

The key is of the files as they are and of how they are read. The same import again changes nothing; killed, it goes on.
"""

import json
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

from pipeline.data.spread import num_threads
from pipeline.intake.chunks import Done, Waiting, bad_name, part_name
from pipeline.intake.days import ByLine
from pipeline.intake.formats.form import Format
from pipeline.intake.reading import FileReader
from pipeline.intake.sources import Source
from pipeline.runtime import files, fingerprint, replacing
from pipeline.runtime.files import SUCCESS
from pipeline.runtime.lease import lease
from pipeline.runtime.progress import Event, Show
from schemas.errors import Refusal

LEASE_SECONDS = 60.0
MEGABYTE = 10**6


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
    with lease(f"{job.logs_uri}/_imports/lease-{job.key}", LEASE_SECONDS, f"the import into {job.logs_uri}"):
        if (before := own.outcome_before()) is not None:
            return before
        try:
            done = own.read()
        except Refusal:
            files.remove(own.waiting.uri)
            raise
        return own.publish(done)


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
        return Waiting(f"{self.job.logs_uri}/_importing-{self.job.key}-{fingerprint.of_sources('pipeline/intake')}")

    @property
    def _record_uri(self) -> str:
        return f"{self.job.logs_uri}/_imports/{self.job.key}.json"

    def outcome_before(self) -> Outcome | None:
        """Of the same import, if it is done and all of its days are still there."""
        if not files.exists(self._record_uri):
            return None
        told = json.loads(files.read_bytes(self._record_uri))
        if not all(self._is_own(day) for day in told["rows"]):
            return None
        files.remove(self.waiting.uri)
        return Outcome(told["rows"], told["num_bad"], was_there=True)

    def read(self) -> list[Done]:
        """Write the parts of all files."""
        for by_line in self.job.by_line:
            self._require_free(str(by_line.first_day))
        tally = _Tally(self.job, self.show)
        for reader in self.job.readers:
            for done in _written(self.waiting, reader):
                for day in done.rows:
                    self._require_free(day)
                tally.add(done)
            tally.end_file(reader.source)
        return tally.end()

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
        told = {"format": self.job.form.name, "files": [source.uri for source in self.job.sources]}
        files.write_bytes(self._record_uri, json.dumps({**told, "rows": rows, "num_bad": num_bad}, indent=1).encode())
        files.remove(self.waiting.uri)
        return Outcome(rows, num_bad)

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


def _written(waiting: Waiting, reader: FileReader) -> Iterator[Done]:
    """A file's chunks, in their order; the next ones are read and written by threads meanwhile."""
    threads = num_threads()
    begun: deque[Done | Future[Done]] = deque()
    with ThreadPoolExecutor(threads, "chunk") as pool:
        try:
            for chunk in waiting.chunks(reader):
                begun.append(chunk if isinstance(chunk, Done) else pool.submit(waiting.write, chunk))
                if len(begun) > threads:
                    yield _result(begun.popleft())
            while begun:
                yield _result(begun.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _result(one: Done | Future[Done]) -> Done:
    return one if isinstance(one, Done) else one.result()


class _Tally:
    """Adds up what chunks come to, in their order, and tells how far the import is."""

    def __init__(self, job: Import, show: Show) -> None:
        self._job = job
        self._show = show
        self._done: list[Done] = []
        self._rows = self._bad = self._bytes_before = 0
        self._began = time.monotonic()
        self._total = sum(source.num_bytes for source in job.sources)
        self._tell(0)

    def add(self, done: Done) -> None:
        """Raises Refusal where too many lines of what has been read so far are left out."""
        self._done.append(done)
        self._rows += sum(done.rows.values())
        self._bad += done.num_bad
        if self._bad > self._job.max_bad_share * (self._rows + self._bad):
            raise self._refusal()
        self._tell(self._bytes_before + done.num_bytes_read)

    def end_file(self, source: Source) -> None:
        self._bytes_before += source.num_bytes

    def end(self) -> list[Done]:
        """All of them. Raises Refusal where they have no row."""
        if not self._rows:
            raise Refusal(
                found="no rows",
                expected="at least one",
                where=", ".join(source.uri for source in self._job.sources),
                remedy="name the files that hold rows",
            )
        self._tell(self._total, is_over=True)
        return self._done

    def _tell(self, num_bytes: int, *, is_over: bool = False) -> None:
        rate = self._rows / max(time.monotonic() - self._began, 1e-9)
        note = f"{self._rows:,} rows, {rate:,.0f} rows/s" if self._rows else ""
        total = max(1, self._total // MEGABYTE)
        at = total if is_over else min(num_bytes // MEGABYTE, total - 1)
        self._show(Event("import", at, total, note, rows=self._rows if is_over else 0))

    def _refusal(self) -> Refusal:
        first = [one for done in self._done if done.num_bad for one in done.first_bad][:3]
        share, worst = self._job.max_bad_share, next(done for done in self._done if done.num_bad)
        source = self._job.sources[int(worst.name.partition("-")[0])]
        return Refusal(
            found=f"{self._bad:,} of {self._rows + self._bad:,} lines that break the format: {'; '.join(first)}",
            expected=f"at most {share:.2%} of the lines that were read so far",
            where=source.uri,
            remedy="correct the lines, or leave them out: --max-bad-share 0.01 writes up to 1% of them to quarantine/",
        )
