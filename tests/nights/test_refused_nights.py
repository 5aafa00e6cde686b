"""What stops a night or has it refused: the day's data, the champion's files, MLflow. The champion stays as it is."""

import json
from html import unescape
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click_logs import SPEC
from night_folder import MODEL, NEWEST, ONE_CLASS, ROWS, TRIPLED, NightFolder, day
from processes import hanging_up

from pipeline.registry import model_uri

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("cluster"),
]


@pytest.fixture
def folder(three, tmp_path) -> NightFolder:
    """With a champion that has learned the days before 4."""
    return three.folder.copy(tmp_path / "nights")


class TestTheDaysData:
    def test_a_tripled_label_rate_stops_the_night_before_training(self, folder):
        aliases = folder.aliases()
        done = folder.night(TRIPLED)
        assert done.exit_code == 4
        assert f"{day(TRIPLED)}: label rate: 0.95, " in done.stderr
        assert "the champion stays as it is" in done.stderr
        assert folder.aliases() == aliases
        night = folder.record(TRIPLED)
        assert (night.outcome, night.rows_trained) == ("stopped", 0)
        assert "label rate" in night.breaches[0]
        run = folder.client.get_run(night.run_id)
        assert run.data.tags["nightjar.outcome"] == "stopped"
        assert run.info.status == "FAILED"
        assert folder.children(night) == {}

    def test_what_was_stopped_is_looked_at_again(self, folder):
        assert folder.night(TRIPLED).exit_code == 4
        first = folder.record(TRIPLED)
        assert folder.night(TRIPLED).exit_code == 4
        assert folder.record(TRIPLED).run_id == first.run_id

    def test_a_backfill_that_ends_early_names_the_night_and_how_it_goes_on(self, folder):
        done = folder.run("backfill", "--from", str(day(TRIPLED)), "--to", str(day(NEWEST)), data__max_bad_share=0.1)
        assert done.exit_code == 4
        *_, which, how = done.stderr.splitlines()
        assert which == f"that was the night of {day(TRIPLED)}; from there it goes on by"
        assert how.partition(" backfill ")[2] == (
            f"--config nightly.yaml --set data.max_bad_share=0.1 --from {day(TRIPLED)} --to {day(NEWEST)}"
        )

    def test_with_a_warning_the_night_goes_on(self, folder):
        done = folder.night(TRIPLED, night__quality__on_breach="warn")
        assert done.exit_code == 0, done.stderr
        night = folder.record(TRIPLED)
        assert night.outcome == "kept"
        assert "label rate" in night.breaches[0]
        assert "out of bounds" in done.stdout
        assert night.champion["base_rate"] == pytest.approx(0.95)

    @pytest.mark.parametrize(("on_breach", "exit_code"), [("stop", 4), ("warn", 2)])
    def test_a_day_of_one_class_judges_nothing_whatever_its_bounds(self, folder, on_breach, exit_code):
        aliases = folder.aliases()
        done = folder.night(ONE_CLASS, night__quality__on_breach=on_breach)
        assert done.exit_code == exit_code, done.stderr
        assert f"label rate: 0 clicks in {ROWS} rows" in done.stderr
        assert "train fm" not in done.stderr
        assert folder.aliases() == aliases

    @pytest.mark.parametrize("damage", ["renamed", "truncated"])
    def test_a_day_that_its_footers_give_away_is_refused_before_anything_begins(self, folder, damage):
        file = folder.path / f"logs/date={day(NEWEST)}/part-0.parquet"
        if damage == "renamed":
            folder.rewrite(NEWEST, "views", pq.read_table(file, partitioning=None)["views"].to_pylist(), name="view")
        else:
            file.write_bytes(file.read_bytes()[:-50])
        with folder.unchanged():
            done = folder.night(NEWEST)
        assert done.exit_code == 2
        found = "renamed to 'view'" if damage == "renamed" else "not whole Parquet"
        assert found in done.stderr
        assert f"date={day(NEWEST)}/part-0.parquet" in done.stderr

    def test_what_is_left_aside_of_the_day_is_told_where_it_is_looked_at(self, folder, caplog):
        (folder.path / f"logs/date={day(TRIPLED)}/manifest.json").write_text("{}")
        (folder.path / f"logs/date={day(TRIPLED)}/part-7").touch()
        stderr = folder.night(TRIPLED).stderr
        assert caplog.text.count("part-7 (zero bytes)") == 1
        (line,) = [line for line in stderr.splitlines() if "look at the day" in line and "left aside" in line]
        assert "2 left aside (1 x not Parquet, 1 x zero bytes)" in line

    def test_a_column_that_appears_stops_the_night_or_is_told_everywhere_and_read_nowhere(self, folder, caplog):
        file = folder.path / f"logs/date={day(5)}/part-0.parquet"
        rows = pq.read_table(file, partitioning=None)
        pq.write_table(rows.append_column("new *today*", rows["age"]), file, row_group_size=ROWS // 4)
        refused = folder.night(5)
        assert refused.exit_code == 2
        assert "does not know: 'new *today*'" in refused.stderr
        done = folder.night(5, data__unknown_columns="warn")
        assert done.exit_code == 0, done.stderr
        told = f"columns that the feature spec does not know, and that are not read: 'new *today*' (since {day(5)})"
        assert caplog.text.count(told) == 1
        night = folder.record(5)
        assert (night.outcome, night.start) == ("promoted", "warm")
        assert folder.client.get_run(night.run_id).data.tags["nightjar.unknown_columns"] == told
        artifacts = folder.path / "work" / "mlartifacts" / night.run_id / "artifacts"
        (profile,) = json.loads((artifacts / "profiles.json").read_text())
        assert profile["unknown_columns"] == ["new *today*"]
        assert f"{told[0].upper()}{told[1:]}." in unescape((artifacts / "report.html").read_text())
        assert folder.night(5).exit_code == 2, "it is not over for a config that refuses"
        old = ("--model", f"models:/{MODEL}/1")
        assert folder.run("evaluate", *old, "--dates", str(day(5))).exit_code == 2
        learned = {**SPEC, "ignored": ["new *today*"]}
        for verb, days in (("evaluate", ["--dates", str(day(5))]), ("score", ["--date", str(day(5)), "--out", "out"])):
            done = folder.run(verb, *old, *days, data__features=learned)
            assert done.exit_code == 0, done.stderr


class TestTheChampionsFiles:
    @pytest.fixture
    def bundle(self, folder) -> Path:
        number = folder.aliases()["champion"]
        location = folder.client.get_model_version_download_uri(MODEL, number)
        return Path(location.removeprefix("file://")) / model_uri.BUNDLE_OF_MODEL

    def test_an_edited_champion_is_refused(self, folder, bundle):
        weights = bundle / "weights.safetensors"
        written = weights.read_bytes()
        weights.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))
        with folder.unchanged():
            done = folder.night(NEWEST)
        assert done.exit_code == 2
        assert "weights.safetensors with SHA-256" in done.stderr
        assert "an edited bundle is not loaded" in done.stderr

    def test_a_champion_whose_files_are_gone_is_refused(self, folder, bundle):
        bundle.rename(bundle.with_name("away"))
        with folder.unchanged():
            done = folder.night(NEWEST)
        assert done.exit_code == 2
        assert "no bundle.json" in done.stderr

    def test_an_mlflow_that_does_not_answer_is_asked_twice_and_refused(self, folder):
        with folder.unchanged(), hanging_up() as (uri, requests):
            done = folder.night(NEWEST, mlflow__tracking_uri=uri)
        assert done.exit_code == 2
        assert "start the server" in done.stderr
        assert len(requests) == 2
