"""Use a bundle on days of the log: judge its probabilities against the labels, or write them."""

import io
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from pipeline.data import files, passes, quality
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.split import Split, is_held_out
from pipeline.evaluation.metrics import Sums
from pipeline.registry.bundle import Bundle
from schemas.refusal import Refusal
from schemas.scores import scores_schema

SUMS_SCHEMA = pa.schema([("sums", pa.binary())])
WRITTEN_SCHEMA = pa.schema([("rows", pa.int64())])


def evaluate(bundle: Bundle, manifest: Manifest, split: Split, test_days: Sequence[date], rows_per_part: int) -> Sums:
    """What the bundle makes of the held-out rows of the manifest. Raises Refusal for rows that break the contract."""

    shared = ray.put(bundle)

    def judge(part: Part) -> pa.Table:
        bundle = _get(shared)
        total = Sums.zero()
        for table, where in read_part(part, bundle.spec.columns):
            quality.check_rows(table, bundle.spec, where)
            held_out = table.filter(pa.array(is_held_out(table, part.day, split, test_days)))
            rows = bundle.encoder.encode(held_out)
            total += Sums.of(bundle.logits(held_out), rows.labels, rows.row_weights, rows.groups)
        return pa.table([[total.to_bytes()]], schema=SUMS_SCHEMA)

    judged = passes.map_parts(manifest.parts(rows_per_part), judge, SUMS_SCHEMA)
    parts = (Sums.from_bytes(packed) for table in judged for packed in table.column("sums").to_pylist())
    return sum(parts, Sums.zero())


def score(bundle: Bundle, model_uri: str, manifest: Manifest, out_uri: str, rows_per_part: int) -> int:
    """Write the probabilities of a manifest's rows to `out_uri`, a file a part, `_SUCCESS` last; returns the rows."""
    if files.exists(f"{out_uri}/_SUCCESS"):
        raise Refusal(
            found="complete scores",
            expected="a folder without scores",
            where=out_uri,
            remedy="choose another --out, or remove the folder",
        )

    spec = bundle.spec
    shared = ray.put(bundle)

    def write(part: Part) -> pa.Table:
        bundle = _get(shared)
        scored = []
        for table, _ in read_part(part, spec.scoring_columns):
            key = [table.column(spec.row_key)] if spec.row_key else []
            schema = scores_schema(spec, table.schema.field(spec.row_key).type if spec.row_key else None)
            version = pa.repeat(pa.scalar(model_uri), len(table))
            scored.append(pa.table([*key, bundle.probabilities(table), version], schema=schema))
        scores = pa.concat_tables(scored)
        buffer = io.BytesIO()
        pq.write_table(scores, buffer, compression="zstd")
        files.write_bytes(f"{out_uri}/date={part.day}/part-{part.index:04d}.parquet", buffer.getvalue())
        return pa.table([[len(scores)]], schema=WRITTEN_SCHEMA)

    written = list(passes.map_parts(manifest.parts(rows_per_part), write, WRITTEN_SCHEMA))
    files.write_bytes(f"{out_uri}/_SUCCESS", b"")
    return sum(rows for table in written for rows in table.column("rows").to_pylist())


@lru_cache(maxsize=1)
def _get(shared: "ray.ObjectRef[Bundle]") -> Bundle:
    """Once a process: Ray's worker processes outlive their tasks, and the encoder is made at the first use."""
    bundle: Bundle = ray.get(shared)
    return bundle
