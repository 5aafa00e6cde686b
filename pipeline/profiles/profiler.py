"""Profile the days of a log, each once, and put the rows that break its contract into quarantine."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline.data import passes, quality, vocabulary
from pipeline.data.encoded_days import ENCODING
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.value_counts import COUNTS_SCHEMA
from pipeline.data.vocabulary import Vocabulary
from pipeline.profiles import quarantine
from pipeline.profiles.profile import DayProfile, summarize, with_unseen_shares
from pipeline.profiles.tallies import DayTallies, tally
from pipeline.runtime import files, fingerprint, trusted
from schemas.data import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec

TALLIES_SCHEMA = COUNTS_SCHEMA.append(pa.field("day", pa.date32()))
# The sources that decide what is counted. Days of two ways of counting could not be held against each other.
PROFILING = (
    *ENCODING,
    "pipeline/profiles/profile.py",
    "pipeline/profiles/profiler.py",
    "pipeline/profiles/quarantine.py",
    "pipeline/profiles/tallies.py",
)
VALUES = "values_sha256"  # among the profile's keys: of the file of counts that belongs to it
PREFIX = "part-"
QUARANTINED = "quarantined: "  # tallied with the name of the file that holds the rows


def profile_days(
    manifest: Manifest, data: DataConfig, work_uri: str, known: Vocabulary | None = None
) -> list[DayProfile]:
    """A profile of each day of the manifest, in their order, by one pass over those that have none yet.

    A profile is kept as `<work_uri>/profiles/date=YYYY-MM-DD/<fingerprint of the day's manifest>.json`, with the counts
    of its values beside it, from which shares unseen by the `known` vocabulary are read each time: it may be another
    every night. It is made anew only if the spec or the code that counts is another. Bad rows go to
    `<work_uri>/quarantine/date=.../`.

    Raises Refusal for the first day with a larger share of bad rows than `max_bad_share`, whose profile and quarantine
    are written before; where that is 0, for the first bad row.
    """
    spec, quarantine_uri = data.features, quarantine.uri_of(work_uri)
    uris = _uris(manifest, work_uri)
    # Where they are needed, the counts too, which those of days long past are not: they are thrown away.
    kept = {day: _kept(uri, spec, is_with_values=known is not None) for day, uri in uris.items()}
    unknown = [day for day in uris if kept[day] is None]
    tallies = _tally_days(manifest.of_days(unknown), data, quarantine_uri)
    profiles = [kept[day] or _keep(uri, manifest.of_days([day]), tallies[day], spec) for day, uri in uris.items()]
    for profile in profiles:
        _check_bad_share(profile, data.max_bad_share, f"{quarantine_uri}/date={profile.day}")
    if known is None:
        return profiles
    return [with_unseen_shares(profile, _read_values(uris[profile.day], spec), spec, known) for profile in profiles]


def counted_days(manifest: Manifest, data: DataConfig, work_uri: str) -> list[date]:
    """The days of the manifest whose values were counted with their profiles: `counts_of` reads them."""
    kept = {day: _kept(uri, data.features, is_with_values=True) for day, uri in _uris(manifest, work_uri).items()}
    return [day for day, profile in kept.items() if profile is not None]


def counts_of(days: Sequence[date], manifest: Manifest, data: DataConfig, work_uri: str) -> Iterator[pa.Table]:
    """How often each value occurs on each of these `counted_days`, as `passes.count_values` counts their rows."""
    uris = _uris(manifest, work_uri)
    for day in days:
        values = trusted.read(_values_uri(uris[day], data.features), _open_values)
        yield from (values.read_row_group(group) for group in range(values.num_row_groups))


def kept_profiles(days: Sequence[date], data: DataConfig, work_uri: str) -> list[DayProfile]:
    """Those of these days that are there already, whichever log of the day they are of: the log is not looked at."""
    found = []
    for day in days:
        folder = f"{work_uri}/profiles/date={day}"
        names = files.names(folder) if files.exists(folder) else []
        uris = [f"{folder}/{name.removesuffix('.json')}" for name in names if name.endswith(".json")]
        of_day = [
            profile for uri in uris if (profile := _of(trusted.peek(f"{uri}.json", trusted.unsealed), data.features))
        ]
        found += of_day[-1:]
    return found


def _uris(manifest: Manifest, work_uri: str) -> dict[date, str]:
    return {day: f"{work_uri}/profiles/date={day}/{manifest.of_days([day]).fingerprint}" for day in manifest.days}


def _tally_days(manifest: Manifest, data: DataConfig, quarantine_uri: str) -> dict[date, DayTallies]:
    """The tallies of each day, added up; its quarantine then holds the bad rows of these files, and no others."""
    if not manifest.files:
        return {}
    spec = data.features

    def tally_part(part: Part) -> pa.Table:
        tallies = [COUNTS_SCHEMA.empty_table()]
        refused: list[pa.Table] = []
        for row_group in part.row_groups:
            alone = replace(part, row_groups=(row_group,))
            for table, where in read_part(alone, spec.columns, spec.category_columns):
                sound = quality.sound_rows(table, spec, where, data.max_bad_share)
                bad = quality.bad_rows(table, spec) if len(sound) < len(table) else {}
                tallies.append(tally(sound, bad, spec))
                if bad:
                    refused.append(quarantine.with_reasons(alone, bad, spec))
        tallies.append(_write_quarantine(f"{quarantine_uri}/date={part.day}", part.index, refused))
        merged = vocabulary.merge(pa.concat_tables(tallies))
        return merged.append_column("day", pa.repeat(pa.scalar(part.day), len(merged)))

    tallied = {day: DayTallies(spec) for day in manifest.days}
    for summed in passes.sums_of_parts(manifest.parts(data.rows_per_part), tally_part, TALLIES_SCHEMA):
        for day, of_day in tallied.items():
            of_day.add(summed.filter(pc.equal(summed["day"], pa.scalar(day))))
    for day, of_day in tallied.items():
        _remove_others(f"{quarantine_uri}/date={day}", of_day.total())
    return tallied


def _write_quarantine(folder_uri: str, index: int, refused: Sequence[pa.Table]) -> pa.Table:
    """Tallies of the rows of each file that is written, by its name."""
    written = quarantine.write(folder_uri, f"{PREFIX}{index:04d}", refused)
    tallies = [{"value": QUARANTINED + name, "count": num_rows} for name, num_rows in written.items()]
    return pa.Table.from_pylist(tallies, schema=COUNTS_SCHEMA)


def _remove_others(folder_uri: str, tallies: pa.Table) -> None:
    """Remove what an earlier state of the day's files had put into its quarantine."""
    of_rows = tallies.filter(pc.is_null(tallies["field"]))["value"].to_pylist()
    own = [text.removeprefix(QUARANTINED) for text in of_rows if text and text.startswith(QUARANTINED)]
    quarantine.keep_only(folder_uri, own, PREFIX)


def _keep(uri: str, of_day: Manifest, tallies: DayTallies, spec: FeatureSpec) -> DayProfile:
    """Write the day's values, then its profile, which says that both are there."""
    profile = summarize(tallies.total(), of_day.days[0], spec, of_day.fingerprint, _fingerprint(spec))
    unknown = tuple(column.name for column in of_day.unknown_columns)
    profile = profile.model_copy(update={"unknown_columns": unknown})
    values = tallies.values_file()
    files.write_bytes(_values_uri(uri, spec), values)
    written = {**profile.model_dump(mode="json"), VALUES: hashlib.sha256(values).hexdigest()}
    trusted.write(f"{uri}.json", written)
    return profile


def _kept(uri: str, spec: FeatureSpec, *, is_with_values: bool) -> DayProfile | None:
    """The kept profile, if it is what would be made now, and if its values, where they are needed, can be read."""
    written = trusted.kept(f"{uri}.json", trusted.unsealed)
    profile = _of(written, spec)
    if written is None or profile is None:
        return None

    def parse(content: bytes) -> pq.ParquetFile:
        if written.get(VALUES) != hashlib.sha256(content).hexdigest():
            raise ValueError("its content is not that of its digest")
        return _open_values(content)

    return profile if not is_with_values or trusted.kept(_values_uri(uri, spec), parse) is not None else None


def _of(written: Mapping[str, Any] | None, spec: FeatureSpec) -> DayProfile | None:
    """None where nothing is written, or for another spec, by other code or by another version of Nightjar."""
    try:
        profile = DayProfile.model_validate({name: value for name, value in (written or {}).items() if name != VALUES})
    except ValidationError:
        return None
    return profile if profile.spec_fingerprint == _fingerprint(spec) else None


def _open_values(content: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(content))


def _read_values(uri: str, spec: FeatureSpec) -> pa.Table:
    return trusted.read(_values_uri(uri, spec), lambda content: _open_values(content).read().cast(COUNTS_SCHEMA))


def _values_uri(uri: str, spec: FeatureSpec) -> str:
    return f"{uri}-{_fingerprint(spec)}.parquet"


def _fingerprint(spec: FeatureSpec) -> str:
    return fingerprint.digest(spec.model_dump_json(), fingerprint.of_sources(*PROFILING))


def _check_bad_share(profile: DayProfile, max_bad_share: float, quarantine_uri: str) -> None:
    if profile.bad_share > max_bad_share:
        reasons = ", ".join(f"{reason} ({number:,})" for reason, number in profile.bad_by_reason.items())
        raise Refusal(
            found=f"{profile.day}: {profile.bad_rows:,} of {profile.rows + profile.bad_rows:,} rows "
            f"({profile.bad_share:.2%}) break the contract: {reasons}",
            expected=f"at most {max_bad_share:.2%} of a day's rows",
            where=quarantine_uri,
            remedy="correct the rows where the log is written and write the day again, or raise data.max_bad_share",
        )
