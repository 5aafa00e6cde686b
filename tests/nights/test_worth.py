"""What each field is worth, night after night: on the page, in MLflow and in the record."""

from pathlib import Path

import pytest
from click_logs import SPEC

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
FIELDS = [field["name"] for field in SPEC["fields"]]


def test_each_night_tells_it_and_the_next_one_against_it(three):
    first, second = three.folder.record(2), three.folder.record(3)
    client = three.folder.client
    for night in (first, second):
        assert [*night.worth] == FIELDS
        assert max(night.worth, key=lambda name: night.worth[name]) == "age", "what the clicks depend on"
        run = client.get_run(night.run_id)
        assert {name: run.data.metrics[f"explain/{name}"] for name in FIELDS} == night.worth
        assert "plots/explain.png" in {artifact.path for artifact in client.list_artifacts(night.run_id, "plots")}
        assert "explain" in {phase.name for phase in night.phases}
    pages = [client.download_artifacts(night.run_id, "report.html") for night in (first, second)]
    texts = [Path(path).read_text() for path in pages]
    assert all("What each field is worth" in text for text in texts)
    assert ["Against 2026-11-02" in text for text in texts] == [False, True]


def test_a_night_may_be_told_not_to_ask(three, tmp_path):
    folder = three.folder.copy(tmp_path)
    done = folder.night(5, explain=None)
    assert done.exit_code == 0, done.stderr
    assert folder.record(5).worth == {}
    assert not [key for key in folder.client.get_run(folder.record(5).run_id).data.metrics if "explain" in key]
