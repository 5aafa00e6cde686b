"""Bundles of any fields and model, made in memory, and what ONNX Runtime makes of their graphs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import torch
from numpy.typing import NDArray
from random_bundles import FIELDS, random_rows

from pipeline import models
from pipeline.data import vocabulary
from pipeline.data.target import CLICKS, Target
from pipeline.embedding.table import Table
from pipeline.evaluation.calibration import Calibration
from pipeline.export.check import Session
from pipeline.export.onnx_graph import graph_of
from pipeline.registry.bundle import Bundle, Contents, Origin
from pipeline.registry.bundle_format import NEWEST
from schemas.config import TableConfig
from schemas.features import FeatureSpec
from schemas.stage import StageConfig

DIMENSION = 4
HASH = {"type": "hash", "num_buckets": 50}
ALL_FIELDS = [
    *FIELDS,
    {"name": "page", "kind": "categorical", "encoder": HASH},
    {"name": "words", "kind": "multi_valued", "encoder": HASH},
    {"name": "balance", "kind": "numeric", "encoder": {"type": "log_bucket"}},
    {"name": "share", "kind": "numeric", "encoder": {"type": "scale", "to": "unit"}},
]
"""Every kind of field by every encoder, of `rows_of`."""
LEARNED = [field for field in ALL_FIELDS if field.get("encoder", {}).get("type") != "hash"]
"""Those without a hash, whose graphs have no table of characters and are open in no time."""
WORDS = ["", "a", "naïve", "横浜", "👩‍🚀", "exactly8", "a text of many more letters than a word of eight bytes"]


def rows_of(num_rows: int, seed: int) -> pa.Table:
    """Rows for `ALL_FIELDS`, a tenth of the values missing; another seed brings values not seen before."""
    rng = np.random.default_rng([7, seed])

    def some(values: Sequence[Any]) -> list[Any]:
        return [None if rng.random() < 0.1 else value for value in values]

    lists = [[*rng.choice(WORDS, rng.integers(0, 5)), *([None] * int(rng.integers(0, 2)))] for _ in range(num_rows)]
    own = {
        "page": pa.array(some([f"{rng.choice(WORDS)}{n}" for n in rng.integers(0, 9, num_rows)]), pa.string()),
        "words": pa.array(some(lists), pa.list_(pa.string())),
        "balance": pa.array(some(np.round(rng.normal(0, 10 ** (1 + seed), num_rows), 1).tolist()), pa.float64()),
        "share": pa.array(some(rng.random(num_rows).tolist()), pa.float32()),
    }
    return pa.table(dict(zip((table := random_rows(num_rows, seed)).column_names, table.columns, strict=True)) | own)


def bundle_of(
    stage: Mapping[str, Any],
    fields: Sequence[Mapping[str, Any]] = ALL_FIELDS,
    rows: pa.Table | None = None,
    calibration: Calibration | None = None,
    target: Target = CLICKS,
) -> Bundle:
    """Its rows, layers and statistics of batch norm are far from their start."""
    spec = FeatureSpec.model_validate({"label": "click", "fields": fields})
    config = StageConfig.model_validate({"name": "stage", **stage})
    vocab = vocabulary.build(spec, vocabulary.count(rows_of(400, 0) if rows is None else rows, spec))
    spec = spec.model_copy(update={"objective": target.objective})
    vocab = replace(vocab, spec=spec, target=target)
    generator = torch.Generator().manual_seed(0)
    table = Table(torch.randn(vocab.num_ids, 1 + DIMENSION, generator=generator) * 0.2, torch.ones(vocab.num_ids))
    model = models.build(config, len(spec.fields), DIMENSION, 0, target.num_outputs).eval()
    for name, values in model.state_dict().items():
        if values.is_floating_point() and values.ndim < 2:
            values.copy_(torch.rand(values.shape, generator=generator) + ("running_var" in name))
    contents = Contents(
        format_version=NEWEST,
        features=spec,
        stage=config,
        table=TableConfig(dimension=DIMENSION),
        calibration=calibration,
        origin=Origin(identity="0123456789abcdef", training_days=(date(2026, 11, 1),), results={}),
        sha256={},
    )
    return Bundle(contents, vocab, table, model)


def joined_bundle() -> Bundle:
    """An FM, of which the last fields have joined its vocabulary when that had learned values of the first."""
    few = bundle_of({"model": "fm"}, ALL_FIELDS[2:8])
    spec, rows = FeatureSpec.model_validate({"label": "click", "fields": ALL_FIELDS}), rows_of(400, 0)
    counts = vocabulary.count(rows, spec)
    vocab = few.vocabulary.under(spec, counts).grow(counts)
    table = Table(torch.randn(vocab.num_ids, 1 + DIMENSION) * 0.2, torch.ones(vocab.num_ids))
    return Bundle(few.contents.model_copy(update={"features": spec}), vocab, table, few.model)


def session_of(bundle: Bundle, folder: Path, integers: Collection[str] = ()) -> Session:
    graph, _ = graph_of(bundle, integers)
    onnx.checker.check_model(graph)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return Session(folder / "model.onnx", bundle, integers)


def largest_difference(bundle: Bundle, rows: pa.Table, folder: Path, integers: Collection[str] = ()) -> float:
    """Between the bundle's scores and those of its graph."""
    found: NDArray[np.float32] = session_of(bundle, folder, integers).scores(rows)
    return float(np.abs(found - bundle.scores(rows)).max(initial=0.0))
