"""`data.hashing` as operators of ONNX: the same 64 bits of any text, within the graph.

No operator gives a text's bytes. ONNX Runtime's Tokenizer gives its characters, and a table of characters the bytes of
each. SipHash's four words of state are a row of a matrix: sums and left shifts of them are a product with a matrix of
integers, as 64 bits have it.
"""

from functools import cache

import numpy as np
from onnx import TensorProto

from pipeline.data.hashing import FINALIZER, FIRST_STATE
from pipeline.export.graph import Graph

PAD = "no character"
PLANES = (0, 1, 2, 3, 14)  # of Unicode's: the others have private characters or none
SURROGATES = range(0xD800, 0xE000)
UNKNOWN = -(2**62)  # a length that leads out of the text's words: the graph ends in an error, and not in wrong bits
DIGITS = tuple("-0123456789")
# The halves of a round: to which word which other one is added, and by how many bits each word is rotated.
HALVES = [({0: 1, 2: 3}, (32, 13, 0, 16)), ({2: 1, 0: 3}, (0, 17, 32, 21))]
U64, I64 = np.uint64, np.int64


@cache
def all_characters() -> tuple[str, ...]:
    """Those that may stand in a text."""
    codes = (code for plane in PLANES for code in range(plane << 16, (plane + 1) << 16))
    return tuple(chr(code) for code in codes if code not in SURROGATES)


def hashes(graph: Graph, texts: str, characters: tuple[str, ...]) -> str:
    """Text [T] -> uint64 [T]. A text with another character than these ends the graph in an error."""
    bytes_TC = _bytes(graph, texts, characters)
    words_TW, last_T1 = _words(graph, bytes_TC)
    state_T4 = graph.op("Expand", graph.constant([FIRST_STATE], U64), graph.op("Shape", last_T1))
    num_before = graph.op("ReduceMax", last_T1, keepdims=0)
    state_T4 = graph.loop(num_before, state_T4, _of_a_word_before_the_last(graph, words_TW, last_T1))
    state_T4 = _taken_in(graph, state_T4, graph.op("GatherElements", words_TW, last_T1, axis=1))
    return _ended(graph, state_T4)


def _bytes(graph: Graph, texts: str, characters: tuple[str, ...]) -> str:
    """Int64 [T, C]: the UTF-8 of each character, the first byte lowest, and its length above 32 bits; 0 of none."""
    tokens_TC = graph.op(
        "Tokenizer", texts, domain="com.microsoft", mark=0, mincharnum=1, pad_value=PAD, separators=[""]
    )
    keys = [PAD.encode(), *(one.encode() for one in characters)]
    values = [0, *(int.from_bytes(key, "little") | len(key) << 32 for key in keys[1:])]
    return graph.op(
        "LabelEncoder", tokens_TC, domain="ai.onnx.ml", keys_strings=keys, values_int64s=values, default_int64=UNKNOWN
    )


def _words(graph: Graph, bytes_TC: str) -> tuple[str, str]:
    """(uint64 [T, W], int64 [T, 1]): eight bytes each, and which is a text's last, whose top byte is its length."""
    one, eight, above = graph.constant(1, I64), graph.constant(8, I64), graph.constant(2**32, I64)
    lengths_TC = graph.op("Div", bytes_TC, above)
    starts_TC = graph.op("CumSum", lengths_TC, one, exclusive=1)
    length_T1 = graph.op("ReduceSum", lengths_TC, graph.constant([1], I64), keepdims=1)
    last_T1 = graph.op("Div", length_T1, eight)
    # One column more than characters, for the length.
    places_TX = graph.op("Concat", graph.op("Div", starts_TC, eight), last_T1, axis=1)
    of_length = graph.op("Expand", graph.constant([[7]], I64), graph.op("Shape", last_T1))
    within_TX = graph.op("Concat", graph.op("Mod", starts_TC, eight), of_length, axis=1)
    values_TX = graph.op("Concat", graph.op("Mod", bytes_TC, above), length_T1, axis=1)
    here_TX, beyond_TX = _on_two_words(graph, values_TX, graph.op("Mul", within_TX, eight))
    width = graph.op("Add", graph.op("ReduceMax", last_T1, keepdims=0), graph.constant([2], I64))
    shape = graph.op("Concat", graph.op("Shape", last_T1, start=0, end=1), width, axis=0)
    words_TW = graph.op("Expand", graph.constant([[0]], I64), shape)
    words_TW = graph.op("ScatterElements", words_TW, places_TX, here_TX, axis=1, reduction="add")
    next_TX = graph.op("Add", places_TX, one)
    words_TW = graph.op("ScatterElements", words_TW, next_TX, beyond_TX, axis=1, reduction="add")
    return graph.cast(words_TW, TensorProto.UINT64), last_T1


def _on_two_words(graph: Graph, values: str, shifts: str) -> tuple[str, str]:
    """Int64: what a value adds to its word, shifted to the left by so many bits, and what to the next one."""
    values, shifts = graph.cast(values, TensorProto.UINT64), graph.cast(shifts, TensorProto.UINT64)
    here = graph.op("BitShift", values, shifts, direction="LEFT")
    # In two steps, for no shift is one by all 64 bits.
    rest = graph.op("BitwiseXor", shifts, graph.constant(63, U64))
    beyond = graph.op("BitShift", values, rest, direction="RIGHT")
    beyond = graph.op("BitShift", beyond, graph.constant(1, U64), direction="RIGHT")
    return graph.cast(here, TensorProto.INT64), graph.cast(beyond, TensorProto.INT64)


def _of_a_word_before_the_last(graph: Graph, words_TW: str, last_T1: str) -> Graph:
    """A step of the loop over them; texts that have fewer keep their state."""
    body = graph.inner("word")
    step = body.input(f"{body.prefix}step", TensorProto.INT64, [])
    goes_on = body.input(f"{body.prefix}goes_on", TensorProto.BOOL, [])
    state_T4 = body.input(f"{body.prefix}state", TensorProto.UINT64, ["T", 4])
    word_T1 = body.op("Gather", words_TW, body.op("Unsqueeze", step, body.constant([0], I64)), axis=1)
    after_T4 = _taken_in(body, state_T4, word_T1)
    has_it_T1 = body.cast(body.op("Less", step, last_T1), TensorProto.UINT64)
    change_T4 = body.op("BitwiseXor", state_T4, after_T4)
    mask_T4 = body.op("MatMul", has_it_T1, body.constant([[2**64 - 1] * 4], U64))
    state_T4 = body.op("BitwiseXor", state_T4, body.op("BitwiseAnd", change_T4, mask_T4))
    body.output(f"{body.prefix}goes_on_after", TensorProto.BOOL, [], goes_on)
    body.output(f"{body.prefix}state_after", TensorProto.UINT64, ["T", 4], state_T4)
    return body


def _taken_in(graph: Graph, state_T4: str, word_T1: str) -> str:
    state_T4 = graph.op("BitwiseXor", state_T4, graph.op("MatMul", word_T1, graph.constant([[0, 0, 0, 1]], U64)))
    state_T4 = _rounds(graph, state_T4, 2)
    return graph.op("BitwiseXor", state_T4, graph.op("MatMul", word_T1, graph.constant([[1, 0, 0, 0]], U64)))


def _ended(graph: Graph, state_T4: str) -> str:
    """The hash of each text, [T], as splitmix64 ends it."""
    state_T4 = graph.op("BitwiseXor", state_T4, graph.constant([[0, 0, 0xFF, 0]], U64))
    v0, v1, v2, v3 = graph.split(_rounds(graph, state_T4, 4), 4, axis=1)
    hashes_T1 = graph.op("BitwiseXor", graph.op("BitwiseXor", v0, v1), graph.op("BitwiseXor", v2, v3))
    for step in FINALIZER:
        if step < 64:  # a shift; else a factor
            shifted = graph.op("BitShift", hashes_T1, graph.constant(step, U64), direction="RIGHT")
            hashes_T1 = graph.op("BitwiseXor", hashes_T1, shifted)
        else:
            hashes_T1 = graph.op("MatMul", hashes_T1, graph.constant([[step]], U64))
    return graph.op("Squeeze", hashes_T1, graph.constant([1], I64))


def _rounds(graph: Graph, state_T4: str, number: int) -> str:
    for added, bits in HALVES * number:
        product = graph.op("MatMul", state_T4, graph.constant(_matrix(added, bits), U64))
        left, right, others = graph.split(product, 3, axis=1)
        # What is not rotated is 0 there, whatever the shift.
        right = graph.op(
            "BitShift", right, graph.constant([[64 - n if n else 0 for n in bits]], U64), direction="RIGHT"
        )
        state_T4 = graph.op("BitwiseXor", graph.op("BitwiseXor", left, right), others)
    return state_T4


def _matrix(added: dict[int, int], bits: tuple[int, ...]) -> list[list[int]]:
    """From a state to what a half round combines of it, each a word a column.  [4, 12]

    First the words after the sums, shifted to the left; then those of them that are rotated, unshifted; then, for each
    word that was added to another one, that sum.
    """
    sums = [[int(word == v) + int(added.get(v) == word) for word in range(4)] for v in range(4)]
    sum_of = {other: sums[v] for v, other in added.items()}
    left = [[one << n for one in own] for own, n in zip(sums, bits, strict=True)]
    right = [own if n else [0] * 4 for own, n in zip(sums, bits, strict=True)]
    columns = [*left, *right, *(sum_of.get(v, [0] * 4) for v in range(4))]
    return [[column[word] for column in columns] for word in range(4)]
