"""Nights in a row, from the first without a champion to those whose champion learns the day that it was accepted on."""

import json
from pathlib import Path

import pytest
from html_reader import Reader
from night_folder import MODEL, ROWS, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]


class TestThreeNights:
    def test_each_is_told_with_its_verdict(self, three):
        assert three.exit_code == 0, three.stderr
        first, second, third, *_ = three.stdout.splitlines()
        assert first.startswith("2026-11-02: promoted: NE ")
        assert first.endswith("there is no champion yet")
        for line, night in ((second, 3), (third, 4)):
            assert line.startswith(f"{day(night)}: promoted: NE ")
            assert "below the champion's" in line
            assert f"on the same {ROWS} rows" in line

    def test_the_first_starts_cold_and_the_later_ones_learn_the_new_day_alone(self, folder, three):
        first, *later = (folder.record(number) for number in (2, 3, 4))
        assert (first.start, first.rows_trained) == ("cold", ROWS)
        assert set(folder.children(first)) == {"fm"}
        for night in later:
            assert (night.start, night.rows_trained) == ("warm", ROWS)
            figures = folder.children(night)
            assert {name: metrics["total/rows_seen"] for name, metrics in figures.items()} == {"warm": ROWS}

    def test_the_model_knows_all_days_that_it_has_learned_one_more_each_night(self, folder, three):
        assert [folder.learned_days(number) for number in (1, 2, 3)] == [[1], [1, 2], [1, 2, 3]]

    def test_the_champion_is_the_last_one_and_the_one_before_it_is_kept(self, folder, three):
        uris = [folder.record(number).champion_uri for number in (2, 3, 4)]
        assert uris == [f"models:/{MODEL}/{number}" for number in (1, 2, 3)]
        assert folder.record(4).candidate_uri == f"models:/{MODEL}/3"

    def test_the_champions_figures_are_those_of_evaluate_on_that_day(self, folder, three):
        judged = folder.record(4).progressive[str(day(4))]
        model = ("--model", f"models:/{MODEL}/2", "--dates", str(day(4)), "--json")
        evaluated = json.loads(folder.run("evaluate", *model).stdout.splitlines()[-1])
        for name in ("rows", "auc", "ne", "log_loss", "calibration"):
            assert judged[name] == pytest.approx(evaluated[name], rel=1e-6), name
        assert folder.record(4).champion["ne"] == judged["ne"]
        assert folder.record(2).progressive == {}

    def test_each_is_one_finished_run_with_its_page_tags_and_description(self, folder, three):
        for number in (2, 3, 4):
            night = folder.record(number)
            run = folder.client.get_run(night.run_id)
            assert run.info.status == "FINISHED"
            tags = run.data.tags
            assert (tags["nightjar.identity"], tags["nightjar.date"]) == (night.key, str(day(number)))
            assert (tags["nightjar.outcome"], tags["nightjar.start"]) == ("promoted", night.start)
            assert "promoted" in tags["mlflow.note.content"].lower()
            assert run.data.metrics["test/ne"] == pytest.approx(night.candidate["ne"], rel=1e-6)
            assert run.data.metrics.get("progressive/ne") == night.champion.get("ne")
            artifacts = {artifact.path for artifact in folder.client.list_artifacts(night.run_id)}
            assert {"report.html", "profiles.json", "config.yaml", "manifest.json", "plots"} <= artifacts
        page = Path(folder.client.download_artifacts(folder.record(4).run_id, "report.html")).read_text()
        assert str(day(4)) in Reader(page).text["h1"][0] + Reader(page).text["title"][0]

    def test_the_versions_say_why_they_were_accepted(self, folder, three):
        for number in (2, 3, 4):
            night = folder.record(number)
            version = folder.client.get_model_version(MODEL, night.candidate_uri.rpartition("/")[2])
            assert version.description == version.tags["nightjar.verdict"] == night.verdict
            assert (version.tags["nightjar.decision"], version.tags["nightjar.key"]) == ("promote", night.key)

    def test_asked_for_again_they_train_nothing_and_change_nothing_in_mlflow(self, folder, three):
        leases = folder.path / "work" / "leases" / MODEL
        taken = sorted(leases.iterdir())
        with folder.unchanged():
            again = folder.run("backfill", "--from", str(day(2)), "--to", str(day(4)))
            one = folder.run("nightly", "--date", str(day(3)), "--json")
        assert again.stdout == three.stdout
        assert json.loads(one.stdout.splitlines()[-1])["run_id"] == folder.record(3).run_id
        assert "over already" in one.stderr
        assert sorted(leases.iterdir()) == taken, "a night at work would have one of its own"

    def test_past_nights_are_refused_once_their_day_is_learned(self, folder, three):
        with folder.unchanged():
            done = folder.night(3, seed=1)
        assert done.exit_code == 2
        assert f"has learned {day(3)}" in done.stderr


class TestAWorseCandidate:
    def test_is_kept_out_with_the_reason(self, folder, worse):
        assert worse.outcome == "kept"
        assert "champion" in worse.failed_rules
        assert "is above the champion's" in worse.verdict
        assert worse.candidate["ne"] > worse.champion["ne"]
        assert (worse.candidate_uri, worse.champion_uri) == (f"models:/{MODEL}/4", f"models:/{MODEL}/3")
        tags = folder.client.get_model_version(MODEL, "4").tags
        assert tags["nightjar.decision"] == "keep"
        assert "champion" in tags["nightjar.failed_rules"]
        assert folder.client.get_run(worse.run_id).data.tags["nightjar.outcome"] == "kept"

    def test_is_not_what_the_next_night_goes_on_from(self, folder, met):
        assert folder.learned_days(4) == [1, 2, 3, 4]
        assert folder.children(met[0]).keys() == {"warm", "fm"}
        warm = folder.client.get_run(met[0].run_id).data.params
        assert warm["night.start"] == "both"
        assert met[0].champion_uri != f"models:/{MODEL}/4"


class TestBoth:
    def test_trains_the_champion_on_what_is_new_to_it_and_the_plan_on_the_window(self, folder, met):
        night, _ = met
        assert night.start == "both"
        rows = {name: metrics["total/rows_seen"] for name, metrics in folder.children(night).items()}
        assert rows == {"warm": 2 * ROWS, "fm": 5 * ROWS}, "the night of day 5 was kept: days 4 and 5 are new"

    def test_the_better_of_the_two_is_the_candidate(self, folder, met):
        night, _ = met
        ne_of = {name: metrics["test/ne"] for name, metrics in folder.children(night).items()}
        assert night.candidate["ne"] == pytest.approx(min(ne_of.values()), rel=1e-6)
        assert folder.client.get_run(night.run_id).data.tags["nightjar.best_stage"] == min(ne_of, key=ne_of.__getitem__)

    def test_the_same_command_meanwhile_exits_3_and_names_the_holder(self, met):
        night, (busy,) = met
        assert night.outcome == "promoted"
        assert busy.exit_code == 3
        assert f"night of {day(6)} is at work already: process " in busy.stderr
        assert "Traceback" not in busy.stderr


class TestRefresh:
    def test_what_serves_has_learned_the_day_that_it_was_accepted_on(self, folder, refreshed):
        assert refreshed.outcome == "promoted"
        accepted, serving = (uri.rpartition("/")[2] for uri in (refreshed.candidate_uri, refreshed.champion_uri))
        assert int(serving) == int(accepted) + 1
        assert folder.learned_days(accepted)[-1] == 6
        assert folder.learned_days(serving) == [*folder.learned_days(accepted), 7]
        assert folder.children(refreshed)["refresh"]["total/rows_seen"] == ROWS
        assert refreshed.rows_trained == 2 * ROWS

    def test_the_verdict_is_on_figures_of_before_it_learned_the_day(self, folder, refreshed):
        warm = folder.children(refreshed)["warm"]
        assert refreshed.candidate["ne"] == pytest.approx(warm["test/ne"], rel=1e-6)

    def test_the_version_that_serves_says_where_it_is_from(self, folder, refreshed):
        tags = folder.client.get_model_version(MODEL, refreshed.champion_uri.rpartition("/")[2]).tags
        assert tags["nightjar.refreshed_from"] == refreshed.candidate_uri
        assert tags["nightjar.key"] == f"{refreshed.key}-refresh"
        assert f"{refreshed.candidate_uri} after it has learned {day(7)}" in tags["nightjar.verdict"]

    def test_the_next_night_has_but_the_champion_to_judge_which_then_learns(self, folder, learned_all, refreshed):
        assert (learned_all.start, learned_all.outcome) == ("none", "promoted")
        assert learned_all.candidate_uri == refreshed.champion_uri
        assert learned_all.candidate == learned_all.champion
        assert f"has learned all days up to {day(7)}" in learned_all.verdict
        assert "no champion yet" not in learned_all.verdict
        assert folder.learned_days(learned_all.champion_uri.rpartition("/")[2])[-1] == 8
        assert set(folder.children(learned_all)) == {"refresh"}
        assert learned_all.rows_trained == ROWS
