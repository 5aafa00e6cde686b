"""Nights in a row, from the first without a champion to those whose champion learns the day that it was accepted on."""

import json
from pathlib import Path

import pytest
from html_reader import Reader
from night_folder import MODEL, ROWS, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]


class TestThreeNights:
    def test_each_is_told_with_its_verdict(self, three):
        assert three.done.exit_code == 0, three.done.stderr
        first, second, third, *_ = three.done.stdout.splitlines()
        assert first.startswith("2026-11-02: promoted: NE ")
        assert first.endswith("there is no champion yet")
        for line, night in ((second, 3), (third, 4)):
            assert line.startswith(f"{day(night)}: promoted: NE ")
            assert "below the champion's" in line
            assert f"on the same {ROWS} rows" in line

    def test_the_first_starts_cold_and_the_later_ones_learn_the_new_day_alone(self, three):
        first, *later = (three.folder.record(number) for number in (2, 3, 4))
        assert (first.start, first.rows_trained) == ("cold", ROWS)
        assert set(three.folder.children(first)) == {"fm"}
        for night in later:
            assert (night.start, night.rows_trained) == ("warm", ROWS)
            figures = three.folder.children(night)
            assert {name: metrics["total/rows_seen"] for name, metrics in figures.items()} == {"warm": ROWS}

    def test_the_model_knows_all_days_that_it_has_learned_one_more_each_night(self, three):
        assert [three.folder.learned_days(number) for number in (1, 2, 3)] == [[1], [1, 2], [1, 2, 3]]

    def test_the_champion_is_the_last_one_and_the_one_before_it_is_kept(self, three):
        uris = [three.folder.record(number).champion_uri for number in (2, 3, 4)]
        assert uris == [f"models:/{MODEL}/{number}" for number in (1, 2, 3)]
        assert three.folder.record(4).candidate_uri == f"models:/{MODEL}/3"

    def test_the_champions_figures_are_those_of_evaluate_on_that_day(self, three):
        judged = three.folder.record(4).progressive[str(day(4))]
        model = ("--model", f"models:/{MODEL}/2", "--dates", str(day(4)), "--json")
        evaluated = json.loads(three.folder.run("evaluate", *model).stdout.splitlines()[-1])
        for name in ("rows", "auc", "ne", "log_loss", "calibration"):
            assert judged[name] == pytest.approx(evaluated[name], rel=1e-6), name
        assert three.folder.record(4).champion["ne"] == judged["ne"]
        assert three.folder.record(2).progressive == {}

    def test_each_is_one_finished_run_with_its_page_tags_and_description(self, three):
        for number in (2, 3, 4):
            night = three.folder.record(number)
            run = three.folder.client.get_run(night.run_id)
            assert run.info.status == "FINISHED"
            tags = run.data.tags
            assert (tags["nightjar.identity"], tags["nightjar.date"]) == (night.key, str(day(number)))
            assert (tags["nightjar.outcome"], tags["nightjar.start"]) == ("promoted", night.start)
            assert "promoted" in tags["mlflow.note.content"].lower()
            assert run.data.metrics["test/ne"] == pytest.approx(night.candidate["ne"], rel=1e-6)
            assert run.data.metrics.get("progressive/ne") == night.champion.get("ne")
            artifacts = {artifact.path for artifact in three.folder.client.list_artifacts(night.run_id)}
            assert {"report.html", "profiles.json", "config.yaml", "manifest.json", "plots"} <= artifacts
        page = Path(three.folder.client.download_artifacts(three.folder.record(4).run_id, "report.html")).read_text()
        assert str(day(4)) in Reader(page).text["h1"][0] + Reader(page).text["title"][0]

    def test_the_versions_say_why_they_were_accepted(self, three):
        for number in (2, 3, 4):
            night = three.folder.record(number)
            version = three.folder.client.get_model_version(MODEL, night.candidate_uri.rpartition("/")[2])
            verdict, figures, reads, runs = version.description.split("\n\n")
            assert verdict == version.tags["nightjar.verdict"] == night.verdict
            assert figures.startswith(f"NE {night.candidate['ne']:.4f}, AUC ")
            assert figures.endswith(f" on {day(number)}, {ROWS} rows.")
            assert reads == f"It reads {version.tags['nightjar.columns']}."
            assert f"/runs/{night.run_id}?" in runs
            assert (version.tags["nightjar.decision"], version.tags["nightjar.key"]) == ("promote", night.key)

    def test_asked_for_again_they_train_nothing_and_change_nothing_in_mlflow(self, three):
        leases = three.folder.path / "work" / "leases" / MODEL
        taken = sorted(leases.iterdir())
        with three.folder.unchanged():
            again = three.folder.run("backfill", "--from", str(day(2)), "--to", str(day(4)))
            one = three.folder.run("nightly", "--date", str(day(3)), "--json")
        assert again.stdout == three.done.stdout
        assert json.loads(one.stdout.splitlines()[-1])["run_id"] == three.folder.record(3).run_id
        assert "over already" in one.stderr
        assert sorted(leases.iterdir()) == taken, "a night at work would have one of its own"

    def test_a_setting_changed_since_leaves_finished_nights_finished_and_is_told(self, three):
        with three.folder.unchanged():
            done = three.folder.run("backfill", "--from", str(day(2)), "--to", str(day(4)), seed=1, night__start="cold")
        assert done.exit_code == 0, done.stderr
        lines = done.stdout.splitlines()[:3]
        for line, before in zip(lines, three.done.stdout.splitlines()[:3], strict=True):
            assert line == f"{before}; done under another config: seed: 0 -> 1, night.start: warm -> cold"

    def test_a_past_night_is_over_whatever_its_config_was_and_refused_once_its_day_is_learned(self, three):
        with three.folder.unchanged():
            done = three.folder.night(3, seed=1)
            again = three.folder.run("nightly", "--date", str(day(3)), "--again", seed=1)
        assert done.exit_code == 0
        assert "done under another config: seed: 0 -> 1; --again does it under this one" in done.stdout
        assert again.exit_code == 2
        assert f"has learned {day(3)}" in again.stderr
        assert f"the night of {day(3)} is over: promoted, done under another config: seed: 0 -> 1" in again.stderr


class TestAWorseCandidate:
    def test_is_kept_out_with_the_reason(self, worse_and_both):
        folder, worse = worse_and_both.folder, worse_and_both.worse
        assert worse.outcome == "kept"
        assert "champion" in worse.failed_rules
        assert "is above the champion's" in worse.verdict
        assert worse.candidate["ne"] > worse.champion["ne"]
        assert (worse.candidate_uri, worse.champion_uri) == (f"models:/{MODEL}/4", f"models:/{MODEL}/3")
        tags = folder.client.get_model_version(MODEL, "4").tags
        assert tags["nightjar.decision"] == "rejected"
        assert "champion" in tags["nightjar.failed_rules"]
        assert folder.client.get_run(worse.run_id).data.tags["nightjar.outcome"] == "kept"

    def test_is_not_what_the_next_night_goes_on_from(self, worse_and_both):
        folder, both = worse_and_both.folder, worse_and_both.both
        assert folder.learned_days(4) == [1, 2, 3, 4]
        assert folder.children(both).keys() == {"warm", "fm"}
        warm = folder.client.get_run(both.run_id).data.params
        assert warm["night.start"] == "both"
        assert both.champion_uri != f"models:/{MODEL}/4"


class TestBoth:
    def test_trains_the_champion_on_what_is_new_to_it_and_the_plan_on_the_window(self, worse_and_both):
        folder, both = worse_and_both.folder, worse_and_both.both
        assert both.start == "both"
        rows = {name: metrics["total/rows_seen"] for name, metrics in folder.children(both).items()}
        assert rows == {"warm": 2 * ROWS, "fm": 5 * ROWS}, "the night of day 5 was kept: days 4 and 5 are new"

    def test_the_better_of_the_two_is_the_candidate(self, worse_and_both):
        folder, both = worse_and_both.folder, worse_and_both.both
        ne_of = {name: metrics["test/ne"] for name, metrics in folder.children(both).items()}
        assert both.candidate["ne"] == pytest.approx(min(ne_of.values()), rel=1e-6)
        assert folder.client.get_run(both.run_id).data.tags["nightjar.best_stage"] == min(ne_of, key=ne_of.__getitem__)

    def test_the_same_command_meanwhile_exits_3_and_names_the_holder(self, worse_and_both):
        (busy,) = worse_and_both.meanwhile
        assert worse_and_both.both.outcome == "promoted"
        assert busy.exit_code == 3
        assert f"night of {day(6)} is at work already: process " in busy.stderr
        assert "Traceback" not in busy.stderr


class TestRefresh:
    def test_what_serves_has_learned_the_day_that_it_was_accepted_on(self, refreshed):
        folder, night = refreshed.folder, refreshed.first
        assert night.outcome == "promoted"
        accepted, serving = (uri.rpartition("/")[2] for uri in (night.candidate_uri, night.champion_uri))
        assert int(serving) == int(accepted) + 1
        assert folder.learned_days(accepted)[-1] == 4
        assert folder.learned_days(serving) == [*folder.learned_days(accepted), 5]
        assert folder.children(night)["refresh"]["total/rows_seen"] == ROWS
        assert night.rows_trained == 2 * ROWS

    def test_the_verdict_is_on_figures_of_before_it_learned_the_day(self, refreshed):
        warm = refreshed.folder.children(refreshed.first)["warm"]
        assert refreshed.first.candidate["ne"] == pytest.approx(warm["test/ne"], rel=1e-6)

    def test_the_version_that_serves_says_where_it_is_from(self, refreshed):
        night = refreshed.first
        tags = refreshed.folder.client.get_model_version(MODEL, night.champion_uri.rpartition("/")[2]).tags
        assert tags["nightjar.refreshed_from"] == night.candidate_uri
        assert tags["nightjar.key"] == f"{night.key}-refresh"
        assert f"{night.candidate_uri} after it has learned {day(5)}" in tags["nightjar.verdict"]

    def test_the_next_night_has_but_the_champion_to_judge_which_then_learns(self, refreshed):
        folder, night = refreshed.folder, refreshed.second
        assert (night.start, night.outcome) == ("none", "promoted")
        assert night.candidate_uri == refreshed.first.champion_uri
        assert night.candidate == night.champion
        assert f"has learned all days up to {day(5)}" in night.verdict
        assert "no champion yet" not in night.verdict
        assert folder.learned_days(night.champion_uri.rpartition("/")[2])[-1] == 6
        assert set(folder.children(night)) == {"refresh"}
        assert night.rows_trained == ROWS
