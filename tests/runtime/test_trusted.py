import io
import pickle

import numpy as np
import pytest

from pipeline.runtime import trusted
from pipeline.runtime.trusted import Damaged
from schemas.errors import Refusal

FIGURES = {"ne": 0.8125, "days": ["2026-11-01"], "curve": [[1.0, float("inf")]], "words": "größer", "of": {"rows": 7}}


def test_what_was_sealed_is_read_as_it_was():
    assert trusted.unsealed(trusted.sealed(FIGURES)) == FIGURES


def test_a_bit_that_changed_in_sealed_json_changes_no_figure():
    content = trusted.sealed(FIGURES)
    for place in range(len(content)):
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        try:
            found = trusted.unsealed(flipped)
        except ValueError:
            continue
        assert {name: found[name] for name in FIGURES} == FIGURES, "the name of the seal, or white space"


def test_damage_is_told_as_a_refusal_that_names_the_file_in_other_processes_too():
    told = pickle.loads(pickle.dumps(Damaged("s3://clicks/runs/summary.json", "it is missing")))
    assert isinstance(told, Damaged)
    assert isinstance(told, Refusal)
    assert str(told).splitlines()[0] == "found     a damaged file: it is missing"
    assert str(told).splitlines()[2] == "where     s3://clicks/runs/summary.json"


def test_what_a_file_system_says_within_a_readers_code_is_no_damage():
    for of_system in (PermissionError(13, "denied"), OSError(5, "Input/output error"), FileNotFoundError(2, "none")):
        with pytest.raises(OSError, match=str(of_system.errno)), trusted.parsing("file"):
            raise of_system
    for of_content in (OSError("could not verify page integrity"), KeyError("rows"), RecursionError()):
        with pytest.raises(Damaged), trusted.parsing("file"):
            raise of_content


def test_a_file_is_written_over_a_folder_in_its_place(tmp_path):
    uri = str(tmp_path / "summary.json")
    (tmp_path / "summary.json" / "inner").mkdir(parents=True)
    assert trusted.kept(uri, trusted.unsealed) is None
    (tmp_path / "summary.json" / "inner").mkdir(parents=True)
    trusted.write(uri, FIGURES)
    assert trusted.kept(uri, trusted.unsealed) == FIGURES


def test_a_folder_is_whole_until_a_file_is_gone_or_of_another_size(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "rows").write_bytes(b"1234")
    (tmp_path / "labels").write_bytes(b"1")
    (tmp_path / ".labels.1234").write_bytes(b"only begun")
    trusted.mark_complete(str(tmp_path))
    (tmp_path / ".labels.1234").unlink()
    (tmp_path / "later").touch()
    trusted.require_whole(str(tmp_path))
    (tmp_path / "inner" / "rows").write_bytes(b"123")
    with pytest.raises(Damaged, match=r"3 bytes instead of 4[\s\S]*inner/rows"):
        trusted.require_whole(str(tmp_path))
    (tmp_path / "labels").unlink()
    (tmp_path / "inner" / "rows").write_bytes(b"1234")
    with pytest.raises(Damaged, match=r"missing[\s\S]*labels"):
        trusted.require_whole(str(tmp_path))


def test_an_array_that_a_changed_header_makes_shorter_is_not_read():
    buffer = io.BytesIO()
    np.savez(buffer, logits=np.arange(100_000.0))
    npz = buffer.getvalue()
    assert trusted.arrays(npz)["logits"].sum() == sum(range(100_000))
    shorter = npz.replace(b"(100000,)", b"(10000,) ")
    with np.load(io.BytesIO(shorter)) as found:
        assert len(found["logits"]) == 10_000, "NumPy reads no further, and past no checksum"
    with pytest.raises(ValueError, match="checksum"):
        trusted.arrays(shorter)
