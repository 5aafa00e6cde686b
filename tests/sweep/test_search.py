"""A whole sweep of a tiny log."""

import json
from statistics import fmean, stdev

import pytest
from click_logs import write_random_log
from command import nightjar
from html_reader import Reader
from mlflow import MlflowClient
from sweep_folder import DENSE_RATE, write_sweep

from schemas.config import TrainConfig
from schemas.loading import load


def test_help_shows_an_example(tmp_path):
    done = nightjar("sweep", "--help", cwd=tmp_path)
    assert "nightjar sweep" in done.stdout.partition("Example:")[2]


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_the_best_trial_is_written_recorded_and_not_trained_twice(folder, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_random_log(folder / "logs", num_days=3, rows_per_day=1000)
    rates = [0.002, 0.05, -1, "1e30"]
    write_sweep(folder, trials=4, concurrent=2, grace_looks=99, space={DENSE_RATE: {"choice": rates}})
    command = (
        "sweep",
        "--config",
        "train.yaml",
        "--sweep",
        "sweep.yaml",
        "--out",
        "best.yaml",
        "--json",
        "--seeds",
        "2",
    )
    done = nightjar(*command, cwd=folder)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    outcomes = {str(outcome["values"][DENSE_RATE]): outcome for outcome in found["outcomes"]}
    assert set(outcomes) == set(map(str, rates))
    assert "stage 'fnn', step 1: the loss" in outcomes["1e30"]["failure"]
    assert "greater than 0" in outcomes["-1"]["failure"]

    of_seeds = {
        rate: [min(look["ne"] for look in outcomes[rate]["looks"]), *(look["ne"] for look in outcomes[rate]["further"])]
        for rate in ("0.002", "0.05")
    }
    assert {len(set(nes)) for nes in of_seeds.values()} == {2}, "another seed comes to something else"
    best_nes = {rate: fmean(nes) for rate, nes in of_seeds.items()}
    winner = min(best_nes, key=best_nes.__getitem__)
    assert found["best_ne"] == best_nes[winner]
    assert found["best_trial"] == outcomes[winner]["number"]
    best = load(TrainConfig, folder / "best.yaml")
    assert best.stages[1].optimizer.learning_rate == float(winner)
    given = load(TrainConfig, folder / "train.yaml")
    assert best.stages[0] == given.stages[0]
    assert best.stages[1].early_stop is None, "the sweep's looks are its own"
    assert (given.data.validation_share, best.data.validation_share) == (0.2, 0.0), "all rows are trained on"
    first_line = (folder / "best.yaml").read_text().splitlines()[0]
    assert f"nightjar {' '.join(command)}: trial" in first_line
    deviation = stdev(of_seeds[winner])
    assert (
        f"validation NE {best_nes[winner]:.6g}, the mean of 2 seeds, with a deviation of {deviation:.2g}" in first_line
    )
    assert f"{best_nes[winner]:#.4g} ± {deviation:.4f}" in done.stderr
    assert best.seed == given.seed

    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    parent = client.get_run(found["run_id"])
    assert (parent.info.run_name, parent.info.status) == (f"sweep fnn · trial {found['best_trial']} best", "FINISHED")
    assert parent.data.params[DENSE_RATE] == winner
    assert parent.data.metrics == {
        "validation/best_ne": found["best_ne"],
        "validation/best_ne_deviation": pytest.approx(deviation),
    }
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert names == {"best.yaml", "config.yaml", "report.html", "sweep.yaml", "plots"}
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    statuses = {child.data.params[DENSE_RATE]: child.info.status for child in children}
    assert statuses == {"0.002": "FINISHED", "0.05": "FINISHED", "-1": "FAILED", "1e30": "FAILED"}
    for child in children:
        rate = child.data.params[DENSE_RATE]
        if rate in best_nes:
            for name in ("ne", "auc"):
                curve = client.get_metric_history(child.info.run_id, f"validation/{name}")
                assert {point.step: point.value for point in curve} == {
                    look["step"]: look[name] for look in outcomes[rate]["looks"]
                }
            assert child.data.metrics["validation/best_ne"] == best_nes[rate]
            assert child.data.metrics["validation/best_ne_deviation"] == pytest.approx(stdev(of_seeds[rate]))

    page = Reader((folder / ".nightjar/mlartifacts" / found["run_id"] / "artifacts/report.html").read_text())
    assert page.text["h1"] == [f"Trial {found['best_trial']}"]
    assert f"the mean of 2 seeds, with a deviation of {deviation:.2g}" in page.text["header"][0]
    [loser] = [rate for rate in best_nes if rate != winner]
    [neighbour] = [row for row in page.rows if row[1:2] == ["NE and settings"]]
    assert neighbour[0] == str(outcomes[loser]["number"])
    difference = of_seeds[loser][0] - of_seeds[winner][0]
    assert float(neighbour[4]) == pytest.approx(difference, abs=1e-4), "of the first seed, on the same rows"
    assert {f"trial {outcomes[rate]['number']}: {outcomes[rate]['failure']}" for rate in ("-1", "1e30")} == set(
        page.text["li"]
    )

    (sweep_folder,) = (folder / ".nightjar" / "sweeps").iterdir()
    assert [path.name for path in sweep_folder.iterdir()] == ["summary.json"]
    again = nightjar(*command, "--force", cwd=folder)
    assert json.loads(again.stdout.splitlines()[-1]) == found
    assert len(client.search_runs([parent.info.experiment_id])) == 5
