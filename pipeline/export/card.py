"""model.json, which lies beside an exported graph: how to call it, and how it was checked."""

from collections.abc import Collection
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel

from pipeline.data.vocabulary import Vocabulary
from pipeline.export.exportable import is_integer as text_is_integer
from pipeline.export.graph import IR_VERSION
from pipeline.export.inputs import MISSING_INTEGER, MISSING_TEXT, Holds, Type
from pipeline.registry.serving import example
from schemas.features import FROZEN, FeatureField


class Taken(BaseModel):
    """An input. `holds` says what of its column; a dimension is a name, and any number."""

    model_config = FROZEN
    name: str
    column: str
    holds: Holds
    type: Type
    shape: tuple[str, ...]


class Given(BaseModel):
    """An output. `columns`: what those of its second dimension are the probabilities of, where it has one."""

    model_config = FROZEN
    name: str
    type: Literal["float"] = "float"
    shape: tuple[str | int, ...]
    columns: tuple[str, ...]


class Check(BaseModel):
    """What was compared with the model's own scores before the file was put in place."""

    model_config = FROZEN
    rows: int
    largest_difference: float
    allowed: float
    onnxruntime: str


class Example(BaseModel):
    """A request of two rows, the second of which has no value anywhere; tensors as nested lists, by name."""

    model_config = FROZEN
    inputs: dict[str, list[Any]]
    outputs: dict[str, list[Any]]


class Card(BaseModel):
    """model.json."""

    model_config = FROZEN
    model: str
    identity: str
    """Of the retrain that it came from."""
    files: dict[str, int]
    """Bytes of each."""
    ir_version: int = IR_VERSION
    opsets: dict[str, int]
    """By domain; `com.microsoft` are ONNX Runtime's own operators, which only hashes want."""
    needs: str = "ONNX Runtime 1.17 or newer"
    missing: dict[str, Any] = {"string": MISSING_TEXT, "int64": MISSING_INTEGER, "double": "NaN"}
    """What is sent where a row has no value."""
    inputs: tuple[Taken, ...]
    outputs: tuple[Given, ...]
    checked: Check
    example: Example


def example_rows(vocabulary: Vocabulary, integers: Collection[str]) -> pa.Table:
    """A row with a value in each column, where one is known, and a row without any."""
    return pa.table(
        {
            field.name: pa.array([_value(field, vocabulary, field.name in integers), None], _type(field, integers))
            for field in vocabulary.spec.fields
        }
    )


def _value(field: FeatureField, vocabulary: Vocabulary, is_integer: bool) -> Any:
    value = example(field, vocabulary)
    if is_integer and value is not None:
        texts = value if isinstance(value, list) else [str(value)]
        numbers = [int(text) if text_is_integer(text) else 1 for text in texts]  # a hash has no values to show
        return numbers if isinstance(value, list) else numbers[0]
    return value


def _type(field: FeatureField, integers: Collection[str]) -> pa.DataType:
    if field.kind == "numeric":
        return pa.float64()
    kind = pa.int64() if field.name in integers else pa.string()
    return pa.list_(kind) if field.kind == "multi_valued" else kind
