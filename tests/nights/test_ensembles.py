"""Nights whose model is an ensemble."""

import json

import pyarrow.parquet as pq
import pytest
from night_folder import GATE, MODEL, NightFolder, day

from pipeline.registry import model_uri

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]

STAGE = {
    "name": "deepfm",
    "model": "deepfm",
    "members": 2,
    "mlp": {"hidden": [4], "batch_norm": True},
    "batch_size": 50,
    "embedding": {"learning_rate": 0.02},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> NightFolder:
    """Of a night from nothing, whose champion then learns the day it was judged on, and one that goes on from it."""
    folder = NightFolder.write(tmp_path_factory.mktemp("ensembles"), 4, stages=[STAGE], night={"gate": GATE})
    for done in (folder.night(2, night__refresh=True), folder.night(4)):
        assert done.exit_code == 0, done.stderr
    return folder


def test_an_ensemble_is_gone_on_with_from_the_champions_members(folder):
    first, second = folder.record(2), folder.record(4)
    assert (first.start, second.start) == ("cold", "warm")
    assert (first.outcome, second.outcome) == ("promoted", "promoted")
    assert folder.learned_days(folder.aliases()["champion"]) == [1, 2, 3]
    bundle = model_uri.load_bundle(folder.tracking, f"models:/{MODEL}@champion")
    assert (bundle.stage.members, len(bundle.model.mlp.bias)) == (2, 2)


def test_the_scores_of_an_ensemble_are_what_it_is_evaluated_by(folder):
    model, out = ("--model", f"models:/{MODEL}@champion"), folder.path / "scores"
    evaluated = folder.run("evaluate", *model, "--dates", str(day(4)), "--json")
    scored = folder.run("score", *model, "--date", str(day(4)), "--out", str(out))
    assert scored.exit_code == 0, scored.stderr
    p = pq.read_table(out / f"date={day(4)}", partitioning=None)["probability"].to_numpy()
    labels = pq.read_table(folder.path / f"logs/date={day(4)}", partitioning=None)["click"].to_numpy()
    found = json.loads(evaluated.stdout.splitlines()[-1])
    assert len(p) == found["rows"]
    assert p.sum() / labels.sum() == pytest.approx(found["calibration"], rel=1e-5)
