"""The ids of categories within a graph: learned ones by a table of the field's values, hashed ones by their hash."""

from collections.abc import Collection, Sequence

import numpy as np
from onnx import TensorProto

from pipeline.data.field_ids import FieldIds
from pipeline.data.vocabulary import Vocabulary
from pipeline.export import text_hash
from pipeline.export.graph import Graph
from pipeline.export.inputs import MISSING_INTEGER, MISSING_TEXT
from pipeline.export.learned import learned
from schemas.features import CategoricalField, HashEncoder, MultiValuedField

Categories = CategoricalField | MultiValuedField
I64 = np.int64


class CategoryIds:
    """Of all categorical and multi-valued fields of a vocabulary."""

    def __init__(self, graph: Graph, vocabulary: Vocabulary, integers: Collection[str]) -> None:
        self._graph, self._vocabulary, self._integers = graph, vocabulary, integers
        self._own = {ids.name: ids for ids in vocabulary.fields}
        fields = [field for field in vocabulary.spec.fields if field.kind != "numeric"]
        self._hashes = self._hash([field for field in fields if isinstance(field.encoder, HashEncoder)])

    def of(self, field: Categories, missing: int) -> str:
        """The field's input -> int64 ids, of the same shape; `missing` where a value is missing."""
        ids = self._own[field.name]
        if isinstance(field.encoder, HashEncoder):
            return self._hashed(field, field.encoder, ids, missing)
        values, of_values = learned(self._vocabulary, field.name)
        keys = (
            {"keys_int64s": [MISSING_INTEGER, *map(int, values.to_pylist())]}
            if field.name in self._integers
            else {"keys_strings": [one.encode() for one in (MISSING_TEXT, *values.to_pylist())]}
        )
        return self._graph.op(
            "LabelEncoder",
            field.name,
            domain="ai.onnx.ml",
            values_int64s=[missing, *of_values.tolist()],
            default_int64=ids.oov,
            **keys,
        )

    def _hashed(self, field: Categories, encoder: HashEncoder, ids: FieldIds, missing: int) -> str:
        graph, is_integer = self._graph, field.name in self._integers
        bucket = graph.op("Mod", self._hashes[field.name], graph.constant(encoder.num_buckets, np.uint64))
        known = graph.op("Add", graph.cast(bucket, TensorProto.INT64), graph.constant(ids.block, I64))
        mark = graph.constant(MISSING_INTEGER, I64) if is_integer else graph.texts([MISSING_TEXT])
        is_missing = graph.op("Equal", field.name, mark)
        return graph.op("Where", is_missing, graph.constant(missing, I64), known)

    def _hash(self, fields: Sequence[Categories]) -> dict[str, str]:
        """The hashes of these fields' values, each of its input's shape: all go through the rounds at once."""
        graph, flat = self._graph, []
        for field in fields:
            text = graph.cast(field.name, TensorProto.STRING) if field.name in self._integers else field.name
            is_list = isinstance(field, MultiValuedField)
            flat.append(graph.op("Reshape", text, graph.constant([-1], I64)) if is_list else text)
        if not flat:
            return {}
        are_digits = all(field.name in self._integers for field in fields)
        characters = text_hash.DIGITS if are_digits else text_hash.all_characters()
        if len(flat) == 1 and fields[0].kind == "categorical":
            found = [text_hash.hashes(graph, flat[0], characters)]
        else:
            flat.append(
                graph.texts([""])
            )  # lest there be none, of which the Tokenizer makes nothing: lists may be empty
            hashes = text_hash.hashes(graph, graph.op("Concat", *flat, axis=0), characters)
            sizes = graph.op("Concat", *(graph.op("Shape", one) for one in flat), axis=0)
            found = graph.split(hashes, len(flat), axis=0, sizes=sizes)[:-1]
        return {
            field.name: self._in_lists(one, field.name) if isinstance(field, MultiValuedField) else one
            for field, one in zip(fields, found, strict=True)
        }

    def _in_lists(self, flat: str, name: str) -> str:
        return self._graph.op("Reshape", flat, self._graph.op("Shape", name), allowzero=1)
