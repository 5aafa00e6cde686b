import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.data.hashing import FEW_VALUES, HASHED_AT_ONCE, Hashed, hash64

LETTERS = "ab09é日\0\U0001f600"


def by_pandas(texts: list[str]) -> np.ndarray:
    return pd.util.hash_array(np.array(texts, dtype=object), categorize=False)


def texts_of_every_length() -> list[str]:
    """Many of few words, few of many, and each of another length than the one before."""
    drawn = [f"{number}{LETTERS[number % 8] * (number % 5)}" for number in range(4 * FEW_VALUES)]
    return [*drawn, "", *("x" * length for length in range(300)), "y" * 600_000]


def test_texts_of_every_length_have_the_hashes_that_pandas_gives_them():
    texts = texts_of_every_length()
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        np.testing.assert_array_equal(hash64(pa.array(texts, kind)), by_pandas(texts))


def test_a_slice_has_the_hashes_of_its_own_values():
    texts = texts_of_every_length()
    np.testing.assert_array_equal(hash64(pa.array(texts).slice(7, FEW_VALUES)), by_pandas(texts[7 : 7 + FEW_VALUES]))


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64(), pa.bool_()])
def test_many_integers_are_hashed_as_their_text(kind):
    most = min(FEW_VALUES, {"int8": 100, "bool": 2}.get(str(kind), FEW_VALUES))
    numbers = pa.array([number % most for number in range(FEW_VALUES)]).cast(kind)
    words = [str(number).lower() for number in numbers.to_pylist()]
    np.testing.assert_array_equal(hash64(numbers), by_pandas(words))


def test_null_among_many_values_has_one_hash_of_its_own():
    column = pa.chunked_array([pa.array([None, *map(str, range(FEW_VALUES))])])
    hashes = Hashed.of(column).of_rows()
    assert hashes[0] == 0
    assert len({*hashes.tolist()}) == FEW_VALUES + 1


@pytest.mark.slow
def test_many_values_are_hashed_in_pieces_as_all_at_once():
    texts = [str(number) for number in range(16 * HASHED_AT_ONCE + 3)]
    np.testing.assert_array_equal(hash64(pa.array(texts)), by_pandas(texts))
