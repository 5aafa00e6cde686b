"""The page jobs/objectives.md, run as it stands there: one log, a model of its classes and one of its numbers."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import nightjar
from run_page import blocks, shell

PAGE = Path(__file__).parents[2] / "jobs" / "objectives.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_classes_and_numbers_are_trained_and_scored_as_the_page_has_it(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    said = []
    for name, line in blocks(PAGE.read_text()):
        program, *arguments = shlex.split(line) if not name else [""]
        if name:
            (tmp_path / name).write_text(line)
        elif program != "nightjar":
            shell(line, tmp_path)
        else:
            done = nightjar(*arguments, cwd=tmp_path)
            assert done.exit_code == 0, f"{line}\n{done.stderr}"
            said.append(done.stdout)
    truth = pq.read_table(tmp_path / "parcels" / "date=2025-11-06" / "part-0.parquet", partitioning=None)

    assert "is champion: " in said[0]
    outcomes = scored(tmp_path / "outcomes", truth)
    names = ["broken", "late", "on time"]
    p = np.stack([outcomes[f"probability_{name}"].to_numpy() for name in names], axis=1)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    labels = np.array([names.index(outcome) for outcome in outcomes["outcome"].to_pylist()])
    shares = np.bincount(labels) / len(labels)
    log_loss = -np.log(p[np.arange(len(labels)), labels]).mean()
    assert log_loss < 0.9 * -(shares * np.log(shares)).sum()

    assert "is champion: " in said[2]
    hours = scored(tmp_path / "hours", truth)
    errors = hours["prediction"].to_numpy() - hours["hours"].to_numpy()
    assert (errors**2).mean() < 0.4 * hours["hours"].to_numpy().var()


def scored(folder: Path, truth: pa.Table) -> pa.Table:
    """With what became of each parcel."""
    (path,) = folder.rglob("*.parquet")
    return pq.read_table(path, partitioning=None).join(truth, keys="parcel")
