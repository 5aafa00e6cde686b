"""The hash of a text within a graph is that of the encoder, bit for bit."""

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

from pipeline.data.hashing import hash64
from pipeline.export import text_hash
from pipeline.export.graph import Graph

Hash = Callable[[Sequence[str]], NDArray[np.uint64]]
IN_PLANES = st.characters(exclude_categories=["Cs", "Co"], exclude_characters="\0")


def compiled(characters: tuple[str, ...]) -> Hash:
    graph = Graph()
    texts = graph.input("texts", TensorProto.STRING, ["texts"])
    graph.output("hashes", TensorProto.UINT64, ["texts"], text_hash.hashes(graph, texts, characters))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(graph.model("").SerializeToString(), options)
    return lambda texts: session.run(None, {"texts": np.array(texts, object)})[0]


@pytest.fixture(scope="module")
def hashed() -> Hash:
    return compiled(text_hash.all_characters())


@pytest.mark.parametrize("num_bytes", [*range(18), 23, 24, 63, 64, 255, 256, 257, 5000])
def test_a_text_of_any_length_has_the_hash_of_the_encoder(hashed, num_bytes):
    text = ("nightjar" * 1000)[:num_bytes]
    assert hashed([text]).tolist() == hash64(pa.array([text])).tolist()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(texts=st.lists(st.text(IN_PLANES, max_size=40), min_size=1, max_size=20))
def test_texts_of_all_lengths_and_alphabets_are_hashed_at_once(hashed, texts):
    texts = [text for text in texts if all(ord(sign) >> 16 in text_hash.PLANES for sign in text)] or ["a"]
    assert hashed(texts).tolist() == hash64(pa.array(texts)).tolist()


def test_characters_of_one_to_four_bytes_are_told_apart_wherever_they_stand(hashed):
    texts = ["a" * before + sign + "b" * after for sign in "é横🚀" for before in range(9) for after in range(9)]
    assert hashed(texts).tolist() == hash64(pa.array(texts)).tolist()


@pytest.mark.parametrize("others", [[], ["a text that is much longer than the other one"]])
def test_a_character_of_private_use_ends_in_an_error_and_not_in_another_hash(hashed, others):
    with pytest.raises((Fail, InvalidArgument), match=r"Size\(\) must be >= 0|out of data bounds"):
        hashed(["\U000f0000", *others])


def test_integers_are_hashed_as_their_digits():
    numbers = [0, -1, 7, 2**63 - 1, -(2**63), 12_345_678]
    hashed = compiled(text_hash.DIGITS)
    assert hashed([str(one) for one in numbers]).tolist() == hash64(pa.array(numbers, pa.int64())).tolist()
