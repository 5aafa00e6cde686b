"""One 64-bit hash of each value's text, the same in every process: pandas', which registered models depend on."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.data import columns

HASHED_AT_ONCE = 16_384  # values, whose states then fit the processor's cache
FEW_VALUES = 4_000  # of as many words, which pandas has hashed before numpy has gone through the rounds
KEY = b"0123456789123456"  # pandas' own
NOTHING_UP_MY_SLEEVE = b"somepseudorandomlygeneratedbytes"
FIRST_STATE = tuple(
    int.from_bytes(NOTHING_UP_MY_SLEEVE[8 * v : 8 * v + 8], "big") ^ int.from_bytes(KEY[8 * (v % 2) :][:8], "little")
    for v in range(4)
)
"""The four words before a text is taken in."""
FINALIZER = (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31)
"""Of splitmix64: shifts, and factors between them."""
Words = NDArray[np.uint64]


def hash64(values: pa.Array) -> Words:
    """Uint64 hash of each value's text, the same in every process and for every integer width (pandas' SipHash)."""
    text = values.cast(pa.large_string())
    if len(text) < FEW_VALUES or text.null_count:
        return _by_pandas(text)
    hashes = np.empty(len(text), np.uint64)
    for start in range(0, len(text), HASHED_AT_ONCE * 16):
        some = text.slice(start, HASHED_AT_ONCE * 16)
        hashes[start : start + len(some)] = _hash_text(some)
    return hashes


@dataclass(frozen=True, slots=True)
class Hashed:
    """A column of categories, each distinct value hashed once."""

    hashes: Words
    codes: NDArray[np.int32]
    """Each row's index into the hashes, one beyond their last of null."""

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        values, codes = columns.distinct(column)
        return cls(hash64(values), codes.fill_null(len(values)).to_numpy())

    def of_rows(self) -> Words:
        """Uint64 hash of each row's value, 0 of null."""
        return np.append(self.hashes, np.uint64(0)).take(self.codes)


def _hash_text(text: pa.LargeStringArray) -> Words:
    """Those of one number of whole words together, where they are many, so that all go through the same rounds."""
    offsets = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
    first, end = int(offsets[0]), int(offsets[-1])
    padded = np.zeros(end - first + 8, np.uint8)  # so that a word can be read from where any text ends
    padded[: end - first] = np.frombuffer(text.buffers()[2] or b"", np.uint8)[first:end]
    words: Words = np.ndarray(len(padded) - 7, "<u8", padded.data, strides=(1,))  # one from each byte on
    starts, lengths = offsets[:-1] - first, np.diff(offsets)
    num_words = lengths // 8
    hashes = np.empty(len(text), np.uint64)
    order = np.argsort(num_words.astype(np.uint16) if num_words.max() < 2**16 else num_words, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(num_words[order])) + 1, len(order))
    few = [np.empty(0, order.dtype)]
    for begin, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        if stop - begin < FEW_VALUES:
            few.append(order[begin:stop])
            continue
        for start in range(begin, stop, HASHED_AT_ONCE):
            rows = order[start : min(start + HASHED_AT_ONCE, stop)]
            hashes[rows] = _redistributed(_siphash(words, starts[rows], lengths[rows]))
    others = np.concatenate(few)
    hashes[others] = _by_pandas(text.take(pa.array(others)))
    return hashes


def _by_pandas(text: pa.LargeStringArray) -> Words:
    """Each value is an object of Python's meanwhile."""
    objects = np.asarray(text.to_numpy(zero_copy_only=False), dtype=object)
    hashes: Words = pd.util.hash_array(objects, categorize=False)
    return hashes


def _siphash(words: Words, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Words:
    """SipHash-2-4 (Aumasson, Bernstein 2012) of texts that have the same number of whole words, one a lane."""
    state = _Lanes(len(starts))
    whole = int(lengths[0]) // 8
    for word in range(whole):
        state.take_in(words[starts + 8 * word])
    of_tail = (np.uint64(1) << (8 * (lengths % 8)).astype(np.uint64)) - np.uint64(1)
    tail = words[starts + 8 * whole] & of_tail
    state.take_in(tail | (lengths.astype(np.uint64) << np.uint64(56)))
    return state.hashes()


class _Lanes:
    """Four words of state for each of some texts, changed in place."""

    def __init__(self, num_lanes: int) -> None:
        self.v0, self.v1, self.v2, self.v3 = (np.full(num_lanes, word, np.uint64) for word in FIRST_STATE)
        self._shifted = np.empty(num_lanes, np.uint64)

    def take_in(self, word: Words) -> None:
        self.v3 ^= word
        self._rounds(2)
        self.v0 ^= word

    def hashes(self) -> Words:
        self.v2 ^= np.uint64(0xFF)
        self._rounds(4)
        return self.v0 ^ self.v1 ^ self.v2 ^ self.v3

    def _rounds(self, number: int) -> None:
        v0, v1, v2, v3, rotate = self.v0, self.v1, self.v2, self.v3, self._rotate
        for _ in range(number):
            v0 += v1
            rotate(v1, 13)
            v1 ^= v0
            rotate(v0, 32)
            v2 += v3
            rotate(v3, 16)
            v3 ^= v2
            v0 += v3
            rotate(v3, 21)
            v3 ^= v0
            v2 += v1
            rotate(v1, 17)
            v1 ^= v2
            rotate(v2, 32)

    def _rotate(self, word: Words, bits: int) -> None:
        np.right_shift(word, np.uint64(64 - bits), out=self._shifted)
        np.left_shift(word, np.uint64(bits), out=word)
        np.bitwise_or(word, self._shifted, out=word)


def _redistributed(hashes: Words) -> Words:
    """By the finalizer of splitmix64, as pandas does with every hash."""
    first, factor, second, other_factor, third = map(np.uint64, FINALIZER)
    hashes ^= hashes >> first
    hashes *= factor
    hashes ^= hashes >> second
    hashes *= other_factor
    hashes ^= hashes >> third
    return hashes
