"""Rows of classes that a model does not know: counted by day, kept in quarantine, and refused where they are many."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data import quality, spread
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.spread import Work
from pipeline.data.unknown_classes import UnknownClass
from pipeline.profiles import quarantine
from schemas.data import DataConfig
from schemas.errors import Refusal

FOUND_SCHEMA = pa.schema([("day", pa.date32()), ("name", pa.string()), ("num_rows", pa.int64()), ("file", pa.string())])
PREFIX = "unknown-class-"


def unknown_classes(
    manifest: Manifest, data: DataConfig, classes: Sequence[str], work_uri: str | None = None
) -> tuple[UnknownClass, ...]:
    """What the manifest's rows are left out for, by day and name, where the model tells these `classes` apart.

    The rows are kept in the work folder's quarantine, where one is given. None, and nothing is read, where
    `max_bad_share` is 0: the first such row is then refused by whoever meets it. Raises Refusal for the first day that
    has a larger share of them, whose rows are in quarantine then.
    """
    if not classes or not data.max_bad_share:
        return ()
    quarantine_uri = quarantine.uri_of(work_uri) if work_uri else None
    work = _looking(data, classes, quarantine_uri)
    parts = manifest.parts(data.rows_per_part)
    told = [one for table in spread.map_parts(parts, work, FOUND_SCHEMA) for one in table.to_pylist()]
    for day in manifest.days if quarantine_uri else ():
        own = [one["file"] for one in told if one["day"] == day and one["file"]]
        quarantine.keep_only(f"{quarantine_uri}/date={day}", own, PREFIX)
    found = _added_up([(one["day"], one["name"], one["num_rows"]) for one in told if one["name"] is not None])
    for day in manifest.days:
        of_day = [one for one in found if one.day == day]
        _check_share(of_day, manifest.of_days([day]), data, classes, quarantine_uri or data.logs_uri)
    return found


def _looking(data: DataConfig, classes: Sequence[str], quarantine_uri: str | None) -> Work[Part]:
    """What is done with a part: its rows are counted by class, and kept; then a row for each file that holds some."""
    spec = data.features

    def look(part: Part) -> pa.Table:
        names: Counter[str] = Counter()
        refused: list[pa.Table] = []
        for row_group in part.row_groups:
            alone = replace(part, row_groups=(row_group,))
            for table, _ in read_part(alone, [spec.label], [spec.label]):
                is_unknown = quality.is_of_unknown_class(table, spec, classes)
                if not is_unknown.any():
                    continue
                labels = table.column(spec.label).filter(pa.array(is_unknown)).cast(pa.string())
                names.update({one["values"]: one["counts"] for one in pc.value_counts(labels).to_pylist()})
                if quarantine_uri:
                    reason = {f"{spec.label}: {quality.NO_CLASS}": is_unknown}
                    refused.append(quarantine.with_reasons(alone, reason, spec))
        found = [{"day": part.day, "name": name, "num_rows": number} for name, number in names.items()]
        written = quarantine.write(f"{quarantine_uri}/date={part.day}", f"{PREFIX}{part.index:04d}", refused)
        return pa.Table.from_pylist([*found, *({"day": part.day, "file": name} for name in written)], FOUND_SCHEMA)

    return look


def _added_up(found: Sequence[tuple[date, str, int]]) -> tuple[UnknownClass, ...]:
    sums: Counter[tuple[date, str]] = Counter()
    for day, name, num_rows in found:
        sums[day, name] += num_rows
    return tuple(sorted(UnknownClass(day, name, num_rows) for (day, name), num_rows in sums.items()))


def _check_share(
    found: Sequence[UnknownClass], of_day: Manifest, data: DataConfig, classes: Sequence[str], where: str
) -> None:
    num_rows, most = sum(one.num_rows for one in found), data.max_bad_share
    if num_rows > most * of_day.num_rows:
        names = ", ".join(f"{one.name!r} ({one.num_rows:,})" for one in found[:5])
        rule = quality.of_classes(data.features, classes)
        raise Refusal(
            found=f"{of_day.days[0]}: {num_rows:,} of {of_day.num_rows:,} rows ({num_rows / of_day.num_rows:.2%}) "
            f"of classes that the model does not know: {names}{' ...' if len(found) > 5 else ''}",
            expected=f"at most {most:.2%} of a day's rows that are not {rule.expected}",
            where=where,
            remedy=rule.remedy,
        )
