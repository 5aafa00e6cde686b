"""A trained model as one self-sufficient folder: JSON, Parquet and safetensors; never a pickle.

bundle.json          what it is: features, stage, table, origin, and the SHA-256 of each other file; its own is a tag
                     of the registered version
vocabulary.json      the reserved ids of every field, those of fields that joined later, and what labels mean where they
                     are no clicks
vocabulary.parquet   the values that have ids of their own
weights.safetensors  table.rows, table.accumulators, and the model's tensors under `model.`
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pydantic import AllowInfNan, BaseModel, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from pipeline import models
from pipeline.data import store
from pipeline.data.batch import SCORED_ROWS, Batch
from pipeline.data.encode import Encoder
from pipeline.data.rows import Rows
from pipeline.data.vocabulary import Vocabulary
from pipeline.embedding.table import Table
from pipeline.evaluation.calibration import Calibration
from pipeline.models import CTRModel
from pipeline.registry import weights
from pipeline.registry.bundle_format import NEWEST, Format, as_now, format_of
from pipeline.registry.weights import ACCUMULATORS, MODEL, ROWS
from pipeline.runtime import trusted
from pipeline.runtime.trusted import Damaged
from schemas.checking import validate
from schemas.config import RandomSplit, TableConfig
from schemas.errors import Refusal
from schemas.features import FROZEN, FeatureSpec
from schemas.scores import score_columns
from schemas.stage import StageConfig

CONTENTS = "bundle.json"
WEIGHTS = "weights.safetensors"
FILES = ("vocabulary.json", "vocabulary.parquet", WEIGHTS)
RESTORE = (
    "restore the folder from a copy; an edited bundle is not loaded. `nightjar rollback` lets the champion before serve"
)


class Origin(BaseModel):
    """The retrain that a bundle came from: its identity, what it learned, what it got on the held-out rows."""

    model_config = FROZEN
    identity: str
    training_days: tuple[date, ...]
    results: dict[str, Annotated[float, AllowInfNan(True)]]  # of a stage that diverged too
    held_out_by: RandomSplit | None = None
    """By which rows of the training days were held out, of which it has then learned none."""

    @model_serializer(mode="wrap")
    def _as_before_where_none_were(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was written before rows could be held out says the same, and scores go by its digest."""
        written: dict[str, Any] = write(self)
        return written if self.held_out_by else {key: one for key, one in written.items() if key != "held_out_by"}


class Contents(BaseModel):
    """bundle.json."""

    model_config = FROZEN
    format_version: Format
    features: FeatureSpec
    stage: StageConfig
    table: TableConfig
    calibration: Calibration | None = None
    """Applied to the model's logits."""
    origin: Origin
    sha256: dict[str, str]


def write_parts(folder: Path, contents: Contents, vocabulary: Vocabulary, tensors: Mapping[str, Tensor]) -> None:
    """Write a bundle of these parts into a local folder. Of `contents` format and hashes are made anew."""
    assert len(tensors[ROWS]) == vocabulary.num_ids
    folder.mkdir(parents=True, exist_ok=True)
    store.write_vocabulary(str(folder.absolute()), vocabulary)
    weights.write(folder / WEIGHTS, tensors, vocabulary)
    made = {"format_version": format_of(vocabulary), "sha256": {name: _sha256(folder / name) for name in FILES}}
    whole = contents.model_copy(update=made)
    # Last, so that a folder without it is no bundle.
    (folder / CONTENTS).write_text(whole.model_dump_json(indent=1), encoding="utf-8")


def digest_of(folder: Path) -> str:
    """What `Bundle.load` is to be told, by whoever keeps it elsewhere: the hash of the file that holds the hashes."""
    return _sha256(folder / CONTENTS)


def read_contents(folder: Path, sha256: str | None = None) -> Contents:
    """What the bundle in `folder` says it is; the other files are not looked at.

    Raises Refusal if it is none, or if its own file has not this digest.
    """
    path = folder / CONTENTS
    if not path.is_file():
        raise Refusal(
            found=f"no {CONTENTS}",
            expected="the folder of a Nightjar bundle",
            where=str(folder),
            remedy=RESTORE if sha256 else "name a model that Nightjar registered, or the folder of a bundle",
        )
    if sha256 is not None:
        _check_digest(path, sha256)
    try:
        written = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        written = {}
    if not isinstance(written, dict):
        written = {}
    written = as_now(written)
    if written.get("format_version") not in get_args(Format):
        raise Refusal(
            found=f"format_version {str(written.get('format_version'))[:20]}",
            expected=f"format_version {NEWEST} or an earlier one",
            where=str(path),
            remedy="load it with the version of Nightjar that wrote it, or train it again",
        )
    return validate(Contents, written, str(path))


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded bundle. Its tensors are views of the file, so load it from a folder that nobody writes into."""

    contents: Contents
    vocabulary: Vocabulary
    table: Table
    model: CTRModel

    @staticmethod
    def load(folder: Path, sha256: str | None = None) -> "Bundle":
        """Raises Refusal for what is no bundle, or one of another format, or whose files were edited or lost.

        `sha256`: of its bundle.json, where that is known. What the files hold is looked at, too: whoever edits one can
        write its hash anew.
        """
        contents = read_contents(folder, sha256)
        for name in FILES:
            _check_digest(folder / name, contents.sha256.get(name))
        spec, stage, dimension = contents.features, contents.stage, contents.table.dimension
        try:
            vocabulary = store.read_vocabulary(str(folder.absolute()), spec)
            model = models.build(stage, len(spec.fields), dimension, 0, vocabulary.target.num_outputs)
            with trusted.parsing(str(folder / WEIGHTS)):
                tensors = weights.read(folder / WEIGHTS, vocabulary, model, dimension)
        except Damaged as damaged:
            raise Refusal(
                found=damaged.found, expected=damaged.expected, where=damaged.where, remedy=RESTORE
            ) from damaged
        model.load_state_dict({name: tensors[MODEL + name] for name in model.state_dict()})
        return Bundle(contents, vocabulary, Table(tensors[ROWS], tensors[ACCUMULATORS]), model.eval())

    @property
    def spec(self) -> FeatureSpec:
        return self.contents.features

    @property
    def stage(self) -> StageConfig:
        return self.contents.stage

    @cached_property
    def encoder(self) -> Encoder:
        """Made at the first call; it hashes the whole vocabulary."""
        return Encoder(self.vocabulary)

    @torch.no_grad()
    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """R rows that its encoder has encoded -> [R]: the bits that evaluation gets for the same batches of rows.

        Of C classes [R, C], whose softmax is their probabilities; of a number the number itself.
        """
        target = self.vocabulary.target
        logits = np.empty((len(rows), target.num_outputs), np.float32)
        for start in range(0, len(rows), SCORED_ROWS):
            lookup = self.table.read(Batch.of(rows, start, start + SCORED_ROWS))
            of_batch = models.served(self.model(lookup), target).numpy()
            logits[start : start + SCORED_ROWS] = of_batch.reshape(-1, target.num_outputs)
        if target.classes:
            return logits
        return self.contents.calibration.apply(logits[:, 0]) if self.contents.calibration else logits[:, 0]

    def probabilities(self, table: pa.Table) -> NDArray[np.float32]:
        """R rows of the log, which need no label -> [R] probabilities of a click."""
        logits_R = torch.from_numpy(self.logits(self.encoder.encode(table)))
        # By float64: of the last few rows float32 computes other bits than it would of them in a vector register.
        return logits_R.double().sigmoid().float().numpy()

    @property
    def score_columns(self) -> tuple[str, ...]:
        """What is served of each row."""
        return score_columns(self.spec.objective, self.vocabulary.classes)

    def scores(self, table: pa.Table) -> NDArray[np.float32]:
        """R rows of the log, which need no label -> [R, columns], those of `score_columns`."""
        if self.spec.objective == "binary":
            return self.probabilities(table)[:, None]
        logits = torch.from_numpy(self.logits(self.encoder.encode(table)))
        if self.spec.objective == "regression":
            return logits[:, None].numpy()
        return logits.double().softmax(dim=1).float().numpy()  # by float64, as above


def _check_digest(path: Path, expected: str | None) -> None:
    found = _sha256(path) if path.is_file() else None
    if found is None or found != expected:
        raise Refusal(
            found=f"{path.name} is missing" if found is None else f"{path.name} with SHA-256 {found}",
            expected=f"the file that was written, with SHA-256 {expected}",
            where=str(path),
            remedy=RESTORE,
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
