"""Write what a bundle makes of days of the log."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.data import quality, spread
from pipeline.data.encoded_days import ENCODING
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.spread import Shared
from pipeline.registry.bundle import Bundle
from pipeline.registry.predicting import PREDICTING
from pipeline.runtime import files, fingerprint
from pipeline.scoring.day_folder import DayFolder
from pipeline.training import memory
from schemas.errors import Refusal
from schemas.scores import MODEL_VERSION, DayScores, require_finite, scores_schema

WRITTEN_SCHEMA = pa.schema([("day", pa.date32()), ("name", pa.string()), ("size_bytes", pa.int64())])
# The sources that decide what is written.
SCORING = (
    *ENCODING,
    *PREDICTING,
    "schemas/scores.py",
    "pipeline/scoring",
)


def score(
    bundle: Bundle, model_uri: str, manifest: Manifest, out_uri: str, rows_per_part: int, *, overwrite: bool = False
) -> int:
    """Write what the bundle says of a manifest's rows to `out_uri`, a folder a day (scoring/day_folder.py).

    Returns the rows. A day that holds these very scores stays as it is, and what an interrupted call has written is not
    computed again unless model, log, parts or code have changed. Raises Refusal, before anything is computed, for a
    day's folder with other scores, which `overwrite` replaces, or with files that are no scores, and for a row key that
    is called like a column of scores.
    """
    _check_names(bundle)
    of_days = {day: manifest.of_days([day]) for day in manifest.days}
    folders = {day: day_folder(bundle, model_uri, of_day, out_uri, rows_per_part) for day, of_day in of_days.items()}
    is_there = {day: folder.holds_scores(overwrite) for day, folder in folders.items()}
    missing: list[Part] = []
    for day, folder in folders.items():
        if is_there[day]:
            folder.clear()
        elif indices := set(folder.missing_parts()):
            missing += [part for part in of_days[day].parts(rows_per_part) if part.index in indices]
        else:
            folder.publish({})
    if missing:
        _score_parts(bundle, model_uri, missing, folders)
    return manifest.num_rows


def _score_parts(bundle: Bundle, model_uri: str, parts: Sequence[Part], folders: Mapping[date, DayFolder]) -> None:
    """Write these parts, and publish each day with its last one, though another day's rows may yet be refused."""
    shared = Shared(bundle)

    def write_part(part: Part) -> pa.Table:
        torch.set_num_threads(1)
        memory.keep_freed()  # or each batch's layers come as thousands of page faults, a third of the time
        buffer = io.BytesIO()
        write(score_part(part, shared.value, model_uri), buffer)
        folder = folders[part.day]
        name = folder.part_name(part.index)
        files.write_bytes(f"{folder.waiting_uri}/{name}", buffer.getvalue())
        return pa.table([[part.day], [name], [buffer.getbuffer().nbytes]], schema=WRITTEN_SCHEMA)

    num_missing = Counter(part.day for part in parts)
    written: dict[date, dict[str, int | None]] = {day: {} for day in num_missing}
    with one_thread():
        for table in spread.map_parts(parts, write_part, WRITTEN_SCHEMA, shared=shared):
            for one in table.to_pylist():
                of_day = written[one["day"]]
                of_day[one["name"]] = one["size_bytes"]
                if len(of_day) == num_missing[one["day"]]:
                    folders[one["day"]].publish(of_day)


def score_part(part: Part, bundle: Bundle, model_uri: str) -> pa.Table:
    spec, scored = bundle.spec, []
    for table, where in read_part(part, spec.scoring_columns):
        quality.check_features(table, spec, where)
        key = [table.column(spec.row_key)] if spec.row_key else []
        schema = scores_schema(
            spec, table.schema.field(spec.row_key).type if spec.row_key else None, bundle.score_columns
        )
        version = pa.repeat(pa.scalar(model_uri), len(table))
        scores = bundle.scores(table)
        require_finite(scores, where)
        scored.append(pa.table([*key, *scores.T, version], schema=schema))
    return pa.concat_tables(scored)


def _check_names(bundle: Bundle) -> None:
    key, columns = bundle.spec.row_key, (*bundle.score_columns, MODEL_VERSION)
    if key in columns:
        raise Refusal(
            found=f"the row key {key!r}, as a column of the scores is called",
            expected=f"a key of another name than {', '.join(columns)}",
            where="features.row_key of the model",
            remedy="rename the column where the log is written, and train the model anew",
        )


def write(scored: pa.Table, to: BinaryIO) -> None:
    """As Parquet. What is another value in each row is not looked for in a dictionary."""
    pq.write_table(scored, to, compression="zstd", use_dictionary=[MODEL_VERSION])


def day_folder(bundle: Bundle, model_uri: str, of_day: Manifest, out_uri: str, rows_per_part: int) -> DayFolder:
    (day,) = of_day.days
    scores = DayScores(
        model_uri=model_uri,
        model_sha256=hashlib.sha256(bundle.contents.model_dump_json().encode()).hexdigest(),
        manifest=of_day.fingerprint,
        rows=of_day.num_rows,
    )
    key = fingerprint.digest(scores.model_dump_json(), str(rows_per_part), fingerprint.of_sources(*SCORING))
    return DayFolder(out_uri.rstrip("/"), day, scores, key, len(of_day.parts(rows_per_part)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch's operations run on one thread in all of this process meanwhile: several could give other last bits.

    Work that is spread sets the number of its own process, which outlives it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
