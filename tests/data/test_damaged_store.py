"""A store of encoded rows on a bad disk: what is damaged is made again, and never trained on."""

import shutil
from datetime import date
from pathlib import Path

import damage
import numpy as np
import pytest
from click_logs import click_rows

from pipeline.data import store, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.store import Store, StoredPart
from pipeline.data.windows import local_windows
from schemas.errors import Failure

DAY = date(2026, 11, 1)
PART = f"train/date={DAY}/part-0000.parquet"


@pytest.fixture
def whole(spec, tmp_path) -> Store:
    vocab = vocabulary.build(spec, vocabulary.count(click_rows(), spec))
    rows = Encoder(vocab).encode(click_rows())
    uri = str(tmp_path / "store")
    parts = [StoredPart("train", DAY, 0, 8, 2), StoredPart("test", DAY, 0, 8, 2)]
    written = [store.write_part(uri, part, rows) for part in parts]
    store.write_vocabulary(uri, vocab)
    return store.complete(uri, vocab.num_ids, written, vocab.fingerprint)


def read(found: Store, num_fields: int) -> list[np.ndarray]:
    return [
        values
        for rows in local_windows(found, "train", num_fields, 0, 1)
        for values in (rows.ids, rows.labels, rows.lengths, rows.weights, rows.groups)
    ]


def test_a_whole_store_is_opened_as_it_was(whole, spec):
    assert store.open_store(whole.uri, spec) == whole


@pytest.mark.parametrize("kept", [b"", b"half of it"], ids=["not there", "half"])
def test_a_part_that_a_node_wrote_to_a_disk_of_its_own_leaves_no_store_to_be_reused(whole, spec, kept):
    path = Path(whole.uri) / PART
    (Path(whole.uri) / "_SUCCESS").unlink()
    path.unlink()
    if kept:
        path.write_bytes(kept)
    with pytest.raises(Failure, match=f"1 of 2 files that were written below {whole.uri} are not whole here, first"):
        store.complete(whole.uri, whole.num_ids, list(whole.parts))
    assert not (Path(whole.uri) / "_SUCCESS").exists()
    assert store.open_store(whole.uri, spec) is None


@pytest.mark.slow
def test_a_store_with_any_damaged_file_is_dropped_or_found_out_as_its_rows_are_read(whole, spec, tmp_path, caplog):
    expected = read(whole, len(spec.fields))
    copy = tmp_path / "copy"
    for path in damage.files_below(Path(whole.uri)):
        for kind in damage.kinds_of(Path(whole.uri) / path):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(whole.uri, copy)
            damage.KINDS[kind](copy / path)
            found = store.open_store(str(copy), spec)
            if found is None:
                assert not (copy / "_SUCCESS").exists(), f"{path}, {kind}"
                continue
            assert kind == "flipped", path
            if str(path) == PART:
                with pytest.raises(Failure, match="the same command encodes its rows again"):
                    pytest.fail(f"{path}, {kind}: {read(found, len(spec.fields))}")
                assert store.open_store(str(copy), spec) is None
            else:
                assert all(map(np.array_equal, read(found, len(spec.fields)), expected))
    assert "is made again" in caplog.text


def test_no_bit_that_has_changed_in_a_part_changes_a_row(whole, spec):
    expected, path = read(whole, len(spec.fields)), Path(whole.uri) / PART
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        (Path(whole.uri) / "_SUCCESS").touch()
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            found = read(whole, len(spec.fields))
        except Failure:
            assert not (Path(whole.uri) / "_SUCCESS").exists()
            continue
        assert len(found) == len(expected), place
        assert all(map(np.array_equal, found, expected)), place
