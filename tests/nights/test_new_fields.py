"""A column that becomes a field one day: the champion goes on with it, and whoever reads of the night is told."""

import html
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from click_logs import SPEC
from command import Done
from night_folder import MODEL, ROWS, NightFolder, day

from pipeline.nights.records import Night
from pipeline.registry import model_uri
from pipeline.registry.bundle import Bundle

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
NEW = ("age", "site")
NET = {"model": "deepfm", "batch_size": 50, "mlp": {"hidden": [8]}, "embedding": {"learning_rate": 0.02}}
FIRST = {"fields": [field for field in SPEC["fields"] if field["name"] not in NEW], "ignored": [*NEW]}


@dataclass(frozen=True)
class Widened:
    """After the nights of days 2 and 3, of which the second knew more fields, in another order."""

    folder: NightFolder
    planned: Done
    night: Night

    def bundle(self, version: int) -> Bundle:
        return model_uri.load_bundle(self.folder.tracking, f"models:/{MODEL}/{version}")


def widen(path: Path) -> None:
    config = yaml.safe_load((path / "nightly.yaml").read_text())
    config["data"]["features"] = {**SPEC, "fields": SPEC["fields"][::-1]}
    (path / "nightly.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def widened(tmp_path_factory: pytest.TempPathFactory) -> Widened:
    data = {"logs_uri": "logs", "features": {**SPEC, **FIRST}}
    folder = NightFolder.write(tmp_path_factory.mktemp("widened"), 5, data=data, stages=[{"name": "net", **NET}])
    for number in (1, 2):  # as before the log had the column
        path = folder.path / f"logs/date={day(number)}/part-0.parquet"
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns("site"), path, row_group_size=ROWS // 4)
    done = folder.night(2, night__gate__golden_rows=5)
    assert done.exit_code == 0, done.stderr
    widen(folder.path)
    planned = folder.run("plan", "--date", "2026-11-03")
    done = folder.night(3, night__gate__golden_rows=5)
    assert done.exit_code == 0, done.stderr
    return Widened(folder, planned, folder.record(3))


def test_the_champion_goes_on_and_keeps_what_it_knows(widened):
    assert (widened.night.start, widened.night.outcome) == ("warm", "promoted")
    assert widened.folder.learned_days(2) == [1, 2]
    before, after = widened.bundle(1), widened.bundle(2)
    assert after.spec.feature_columns == tuple(field["name"] for field in SPEC["fields"])[::-1]
    known = before.vocabulary.values
    assert after.vocabulary.values.slice(0, len(known)) == known
    of_name = {ids.name: ids for ids in after.vocabulary.fields}
    for ids in before.vocabulary.fields:
        assert of_name[ids.name] == ids
    assert before.vocabulary.num_ids <= of_name["age"].oov < after.vocabulary.num_ids
    moved = (after.table.rows[: before.vocabulary.num_ids] - before.table.rows).norm()
    assert moved < before.table.rows.norm(), "a day has not made other rows of those that it had"


def test_what_is_new_is_told_before_the_night_on_its_page_and_in_mlflow(widened):
    assert "new fields    the rows of age, site start fresh, all others go on" in widened.planned.stdout
    run = widened.folder.client.get_run(widened.night.run_id)
    assert run.data.tags["nightjar.new_fields"] == "age, site"
    page = Path(run.info.artifact_uri.removeprefix("file://"), "report.html").read_text()
    assert "New fields: the rows of age, site start fresh, all others go on." in page
    assert "older files lack, where they are null: 'site' (on 2 days, 2026-11-01 to 2026-11-02)" in html.unescape(page)


def test_nights_go_on_after_it_and_a_rebuild_leaves_what_was_seen(widened, tmp_path):
    folder = widened.folder.copy(tmp_path)
    done = folder.night(4)
    assert done.exit_code == 0, done.stderr
    assert folder.record(4).start == "warm"
    assert "nightjar.new_fields" not in folder.client.get_run(folder.record(4).run_id).data.tags
    rebuilt = folder.run("rebuild", night__eviction__unseen_days=1, night__eviction__max_count=10**6)
    assert rebuilt.exit_code == 0, rebuilt.stderr
    assert "is champion" in rebuilt.stdout


def test_with_both_the_champion_goes_on_with_them_beside_the_whole_plan(widened, tmp_path):
    folder = widened.folder.copy(tmp_path)
    data = yaml.safe_load((folder.path / "nightly.yaml").read_text())["data"]
    data["features"] = {**SPEC, "fields": SPEC["fields"] + [{"name": "row", "kind": "numeric"}], "row_key": None}
    done = folder.night(4, night__start="both", data=data)
    assert done.exit_code == 0, done.stderr
    night = folder.record(4)
    assert night.start == "both"
    assert {*folder.children(night)} == {"warm", "net"}
    assert folder.client.get_run(night.run_id).data.tags["nightjar.new_fields"] == "row"


def test_a_field_that_goes_lets_the_night_start_cold_and_says_so(widened, tmp_path):
    folder = widened.folder.copy(tmp_path)
    config = yaml.safe_load((folder.path / "nightly.yaml").read_text())
    config["data"]["features"] = {**SPEC, **FIRST}
    (folder.path / "nightly.yaml").write_text(yaml.safe_dump(config))
    planned = folder.run("plan", "--date", "2026-11-04")
    assert "start         cold: found the champion, trained on the fields" in planned.stdout
    assert "these are not, or otherwise: age, site" in " ".join(planned.stdout.split())
