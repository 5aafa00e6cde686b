"""The command as a user would type it, from a log to scores, on a cluster of two nodes."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import forked
import pyarrow.parquet as pq
import pytest
import yaml
from click_logs import SPEC, write_random_log
from command import Done, nightjar
from mlflow import MlflowClient
from processes import free_port, running
from source_tree import REPOSITORY, change, copy_sources

from jobs.places import OF_A_JOB

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]
HERE = ("--set", "cluster.num_workers=0")  # without the seconds that ranks of Ray Train take to start


def last_object(done: Done) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of three days and the config of a plan of two stages."""
    folder = tmp_path_factory.mktemp("commands")
    write_random_log(folder / "logs", num_days=3, rows_per_day=1000)
    config = {
        "data": {"logs_uri": "logs", "features": SPEC},
        "stages": [
            {"name": "fm", "model": "fm", "epochs": 1, "batch_size": 64},
            {
                "name": "fnn",
                "model": "fnn",
                "init_from": "fm",
                "epochs": 1,
                "batch_size": 64,
                "mlp": {"hidden": [16]},
                "members": 2,
            },
        ],
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, cluster: None) -> dict[str, Any]:
    return last_object(nightjar("train", "--config", "train.yaml", "--json", cwd=folder))


def test_training_tells_the_run_the_figures_and_the_registered_version(trained):
    assert set(trained["stages"]) == {"fm", "fnn"}
    for results in trained["stages"].values():
        assert results["rows"] == 1000
        assert (results["rows_seen"], results["training_rows"], results["passes"]) == (2000, 2000, 1.0)
        assert results["rows_per_second"] > 0
        assert 0.5 < results["auc"] < 1
        assert 0 < results["ne"] < 1
        assert "gauc" in results
    assert trained["held_out_days"] == ["2026-11-03"]
    assert (trained["model_uri"], trained["alias"]) == ("models:/ctr/1", "champion")


def test_mlflow_holds_a_parent_and_a_child_a_stage_with_curves_figures_and_plots(folder, trained):
    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    parent = client.get_run(trained["run_id"])
    assert parent.info.status == "FINISHED"
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{trained['run_id']}'")
    assert {child.info.run_name for child in children} == {"fm", "fnn"}
    for child in children:
        assert child.info.status == "FINISHED"
        assert child.data.metrics["test/ne"] == pytest.approx(trained["stages"][child.info.run_name]["ne"])
        curve = client.get_metric_history(child.info.run_id, "train/log_loss")
        assert [point.step for point in curve] == sorted(point.step for point in curve)
        assert len(curve) > 10
    names = {artifact.path for artifact in client.list_artifacts(trained["run_id"])}
    assert {"config.yaml", "features.json", "manifest.json", "report.html"} <= names
    plots = {artifact.path for artifact in client.list_artifacts(trained["run_id"], "plots")}
    assert plots == {f"plots/{name}.png" for name in ("roc", "calibration", "precision_recall", "explain")}
    assert max(SPEC["fields"], key=lambda field: parent.data.metrics[f"explain/{field['name']}"])["name"] == "age"
    assert str(client.get_model_version_by_alias("ctr", "champion").version) == "1"


def test_evaluating_the_registered_model_gives_the_figures_of_its_training(folder, trained):
    config = ("--config", "train.yaml", "--model", "models:/ctr@champion", "--json")
    figures = last_object(nightjar("evaluate", *config, cwd=folder))
    results = trained["stages"][trained["best_stage"]]
    assert figures["dates"] == ["2026-11-03"]
    for name in ("rows", "auc", "ne", "calibration", "gauc"):
        assert figures[name] == pytest.approx(results[name], rel=1e-6), name


def test_days_that_a_model_has_learned_are_marked_in_the_table_and_in_json(folder, trained):
    days = ("--dates", "2026-11-02", "--dates", "2026-11-03")
    model = ("--config", "train.yaml", "--model", "models:/ctr@champion", *days)
    done = nightjar("evaluate", *model, cwd=folder)
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip().startswith("2026-")}
    assert rows["2026-11-02"][-1] == "learned"
    assert rows["2026-11-03"][-1] != "learned"
    assert "learned: 2026-11-02: the model was trained on these days" in done.stderr
    figures = last_object(nightjar("evaluate", *model, "--json", cwd=folder))
    assert figures["learned_dates"] == ["2026-11-02"]
    assert sum(day["rows"] for day in figures["by_date"].values()) == figures["rows"] == 2000
    alone = last_object(nightjar("evaluate", *model[:-2], "--json", cwd=folder))
    assert figures["by_date"]["2026-11-02"]["ne"] == alone["ne"] == alone["by_date"]["2026-11-02"]["ne"]


def test_rows_held_out_at_random_were_not_learned_by_a_model_of_the_same_split_alone(folder, cluster):
    split = "data.split={by: random, row_key: row, test_share: 0.3, seed: %d}"
    others = ("mlflow.registered_model=random", "stages.fnn.epochs=0.1", "night.gate.golden_rows=0")
    sets = (*HERE, *(word for one in others for word in ("--set", one)))
    summary = last_object(nightjar("train", "--config", "train.yaml", "--json", *sets, "--set", split % 0, cwd=folder))
    model = ("--config", "train.yaml", "--model", summary["model_uri"], "--set")
    same = nightjar("evaluate", *model, split % 0, "--json", cwd=folder)
    assert last_object(same)["learned_dates"] == []
    assert "learned" not in same.stderr
    other = nightjar("evaluate", *model, split % 1, "--json", cwd=folder)
    assert last_object(other)["learned_dates"] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert "was not trained under this random split" in other.stderr


def test_what_each_column_is_worth_is_printed_and_logged_in_the_models_run(folder, trained):
    lines = (REPOSITORY / "jobs" / "README.md").read_text().splitlines()
    [example] = [line.removeprefix("$ nightjar ") for line in lines if line.startswith("$ nightjar explain ")]
    done = nightjar(*example.replace("jobs/configs/demo.yaml", "train.yaml").split(), "--json", cwd=folder)
    told = last_object(done)
    assert (told["dates"], told["learned_dates"], told["rows"]) == (["2026-11-03"], [], 1000)
    assert told["ne"] == pytest.approx(trained["stages"][trained["best_stage"]]["ne"], rel=1e-6)
    first, *others = told["fields"]
    assert first == "age", "the one column that clicks depend on"
    assert told["fields"]["age"]["shuffled"] > 3 * max(abs(told["fields"][name]["shuffled"]) for name in others)
    assert "NE" in done.stderr
    assert "\u2588" in done.stderr, "a bar"
    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    run_id = client.get_model_version("ctr", "1").run_id
    metrics = client.get_run(run_id).data.metrics
    for name, one in told["fields"].items():
        assert metrics[f"explain/{name}"] == one["shuffled"]
        assert metrics[f"explain_missing/{name}"] == one["missing"]
    assert "plots/explain.png" in {artifact.path for artifact in client.list_artifacts(run_id, "plots")}
    assert f"logged in MLflow's run {run_id}" in done.stderr


def test_scores_have_a_row_key_a_probability_and_the_model_of_each_row(folder, trained):
    model = "models:/ctr@champion"
    arguments = ("--config", "train.yaml", "--model", model, "--date", "2026-11-03", "--out", "scores")
    done = nightjar("score", *arguments, cwd=folder)
    assert done.exit_code == 0, done.stderr
    scores = pq.read_table(folder / "scores")
    assert sorted(scores["row"].to_pylist()) == list(range(2000, 3000))
    assert set(scores["model_version"].to_pylist()) == {"models:/ctr/1"}
    assert all(0 < p < 1 for p in scores["probability"].to_pylist())
    mean_p = sum(scores["probability"].to_pylist()) / 1000
    results = trained["stages"][trained["best_stage"]]
    assert mean_p == pytest.approx(results["calibration"] * results["base_rate"], rel=1e-5)

    again = nightjar("score", *arguments, cwd=folder)
    assert again.exit_code == 0, again.stderr
    assert again.stdout == done.stdout
    since = ("--config", "train.yaml", "--model", model, "--from", "2026-11-02", "--out", "scores")
    assert nightjar("score", *since, cwd=folder).stdout.startswith("2,000 rows of 2026-11-02, 2026-11-03 scored")
    assert sorted(pq.read_table(folder / "scores")["row"].to_pylist()) == list(range(1000, 3000))


def test_scoring_no_day_is_refused(folder, trained):
    arguments = ("--config", "train.yaml", "--model", "models:/ctr@champion", "--out", "none")
    for chosen in ((), ("--to", "2026-10-31")):
        none = nightjar("score", *arguments, *chosen, cwd=folder)
        assert none.exit_code == 2
        assert "no day to score" in none.stderr


def test_the_same_retrain_again_is_the_finished_one(folder, trained):
    assert last_object(nightjar("train", "--config", "train.yaml", "--json", cwd=folder)) == trained


def test_a_finished_retrain_says_under_which_cluster_it_was_trained_and_a_job_names_no_path_of_its_own(
    folder, trained, monkeypatch
):
    monkeypatch.setenv(OF_A_JOB, "{}")
    done = nightjar("train", "--config", "train.yaml", "--set", "cluster.cpus_per_worker=0.5", cwd=folder)
    assert done.exit_code == 0, done.stderr
    assert "under other settings, which change no result: cluster.cpus_per_worker: 1.0 -> 0.5" in done.stdout
    assert f"nightjar ui --work {folder}/.nightjar" in done.stdout
    assert "nightjar score --config CONFIG --model models:/ctr@champion" in done.stdout
    assert f"--out {folder}/.nightjar/scores" in done.stdout
    assert trained["differs"] == []


@pytest.mark.parametrize("verb", ["train", "status", "plan", "evaluate", "explain", "score", "rollback", "sweep"])
def test_from_another_directory_as_cron_has_it_a_verb_finds_the_same_places(folder, trained, tmp_path, verb):
    (folder / "sweep.yaml").write_text("{stage: nowhere, space: {table.dimension: {choice: [4]}}}")
    champion, out = ("--model", "models:/ctr@champion"), ("--out", "there")
    arguments = {
        "evaluate": champion,
        "explain": champion,
        "score": (*champion, *out, "--date", "2026-11-03"),
        "sweep": ("--sweep", f"{folder}/sweep.yaml", *out),
    }
    done = nightjar(verb, "--config", f"{folder}/train.yaml", *arguments.get(verb, ()), cwd=tmp_path)
    words = {
        "train": "Held-out rows of 2026-11-03",
        "status": "models:/ctr/1 is champion",
        "plan": "champion      models:/ctr/1",
        "evaluate": "models:/ctr@champion on",
        "explain": "models:/ctr@champion: NE",
        "score": "1,000 rows of 2026-11-03 scored with models:/ctr/1",
        "rollback": "ctr without a previous champion",
        "sweep": "stage 'nowhere'",
    }
    assert words[verb] in done.stdout + done.stderr, done.stderr
    work = f"{folder}/.nightjar"
    assert done.stderr.startswith(f"log {folder}/logs, work folder {work}, MLflow sqlite:///{work}/mlflow.db\n")
    if verb == "train":
        assert f" ui --work ../{folder.name}/.nightjar\n" in done.stdout
        assert " ui --work .nightjar\n" in nightjar("train", "--config", "train.yaml", cwd=folder).stdout
    assert [path.name for path in tmp_path.iterdir()] == (["there"] if verb == "score" else [])


def test_a_verb_imports_neither_ray_nor_torch_where_it_has_no_use_for_them(folder, trained):
    champion = "--model models:/ctr@champion"
    of_torch = [
        f"evaluate {champion}",
        f"score {champion} --date 2026-11-03 --out light",
        "plan",
        " ".join(["train", *HERE]),
    ]
    script = (
        "import sys\nfrom jobs.__main__ import main\n"
        f"for heavy, verbs in (({{'torch', 'ray'}}, ['status', 'rollback']), ({{'ray'}}, {of_torch!r})):\n"
        "    for verb in verbs:\n"
        "        sys.argv = ['nightjar', *verb.split(), '--config', 'train.yaml']\n"
        "        try: main()\n"
        "        except SystemExit as ended: code = ended.code\n"
        "        else: code = 0\n"
        "        print('ended', verb.split()[0], code, sorted(heavy & {*sys.modules}))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, text=True, capture_output=True)
    ended = [line for line in done.stdout.splitlines() if line.startswith("ended")]
    without_previous = "ended rollback 2 []"
    assert ended == [
        "ended status 0 []",
        without_previous,
        *(f"ended {verb} 0 []" for verb in ("evaluate", "score", "plan", "train")),
    ], done.stderr


def test_with_another_report_the_same_retrain_is_still_the_finished_one(folder, trained, ray_address, tmp_path):
    tree = copy_sources(tmp_path / "tree")
    change(tree, "pipeline/report/html.py")
    before = {path: path.stat().st_mtime_ns for path in (folder / ".nightjar" / "encoded").rglob("*")}
    command = [sys.executable, "-m", "jobs", "train", "--config", "train.yaml", "--json"]
    environment = {**os.environ, "RAY_ADDRESS": ray_address, "PYTHONPATH": str(tree)}
    again = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=True)
    assert json.loads(again.stdout.splitlines()[-1]) == trained
    assert {path: path.stat().st_mtime_ns for path in (folder / ".nightjar" / "encoded").rglob("*")} == before


def test_a_worse_candidate_does_not_become_champion(folder, trained):
    worse = ("--set", "stages.fnn.optimizer.learning_rate=2e-4", "--set", "stages.fnn.embedding.learning_rate=1e-3")
    worse += ("--set", "stages.fm.embedding.learning_rate=1e-3", *HERE)
    summary = last_object(nightjar("train", "--config", "train.yaml", "--json", *worse, cwd=folder))
    assert (summary["model_uri"], summary["alias"]) == ("models:/ctr/2", "challenger")
    assert "is above the champion's" in summary["verdict"]
    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    assert str(client.get_model_version_by_alias("ctr", "champion").version) == "1"


def test_a_trial_of_settings_registers_nothing_and_all_its_stages_when_that_is_asked_for(folder, trained):
    def versions() -> set[str]:
        return {str(version.version) for version in client.search_model_versions("name = 'trial'")}

    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    trial = ("train", "--config", "train.yaml", "--json", *HERE, "--set", "mlflow.registered_model=trial")
    trial += ("--set", "stages.fm.embedding.learning_rate=0.05", "--register")
    tried = last_object(nightjar(*trial, "none", cwd=folder))
    assert (tried["model_uri"], tried["alias"], versions()) == (None, None, set())
    assert set(tried["stages"]) == {"fm", "fnn"}
    assert last_object(nightjar(*trial, "none", cwd=folder)) == tried
    whole = last_object(nightjar(*trial, "all", cwd=folder))
    assert {name: figures["ne"] for name, figures in whole["stages"].items()} == {
        name: figures["ne"] for name, figures in tried["stages"].items()
    }
    assert (whole["run_id"], whole["alias"]) == (tried["run_id"], "champion")
    others = whole["registered"]
    assert [*others] == [name for name in ("fm", "fnn") if name != whole["best_stage"]]
    assert {uri.rpartition("/")[2] for uri in (whole["model_uri"], *others.values())} == versions() == {"1", "2"}
    assert last_object(nightjar(*trial, "best", cwd=folder)) == whole


def test_a_diverging_stage_fails_the_run_and_says_which(folder, trained):
    wild = ("--set", "stages.fm.embedding.learning_rate=1e30", *HERE)
    done = nightjar("train", "--config", "train.yaml", *wild, cwd=folder)
    assert done.exit_code == 1
    assert "stage 'fm', step" in done.stderr
    assert "Traceback" not in done.stderr
    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    newest = client.search_runs(["1"], "tags.`nightjar.identity` != ''", order_by=["attributes.start_time DESC"])[0]
    assert newest.info.status == "FAILED"


def test_the_module_is_the_command(folder):
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "--help"], cwd=folder, capture_output=True, text=True, check=True
    )
    for verb in ("generate", "train", "evaluate", "score", "ui"):
        assert verb in done.stdout


def test_ctrl_c_kills_the_run_and_the_same_command_goes_on(folder, ray_address):
    overrides = ("--set", "work_uri=interrupted", "--set", "stages.fnn.epochs=200")
    train = forked.start(["train", "--config", "train.yaml", "--json", *overrides], folder, ray_address)
    while "\ntrain fnn" not in train.stderr.read_text():
        assert train.process.is_alive()
        time.sleep(0.01)
    os.kill(train.process.pid, signal.SIGINT)
    done = train.ended(within_seconds=60)
    assert done.exit_code == 130
    assert "interrupted; the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr
    client = MlflowClient(f"sqlite:///{folder}/interrupted/mlflow.db")
    assert {run.info.status for run in client.search_runs(["1"])} == {"KILLED"}
    (run_folder,) = (folder / "interrupted" / "runs").iterdir()
    assert (run_folder / "stages" / "fm" / "_SUCCESS").exists(), "the finished stage is kept"


def answer(url: str, body: bytes | None = None, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_pages_are_served_to_this_machine_only(folder, trained):
    port = free_port()
    with running(["jobs", "ui", "--port", str(port)], port, folder) as url:
        assert MlflowClient(url).get_run(trained["run_id"]).data.metrics["test/ne"] < 1
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        addresses = {line.split()[1].split(":")[0] for line in listening.splitlines() if f":{port:04X} 0" in line}
        assert addresses == {"0100007F"}, "127.0.0.1 and no other"
        search, create = (f"{url}/api/2.0/mlflow/experiments/{verb}" for verb in ("search?max_results=1", "create"))
        assert answer(search, Host=f"localhost:{port}") == 200
        assert answer(search, Host="evil.example") == 403, "a name that somebody has pointed to this machine"
        of_another_page = {"Origin": "http://evil.example", "Content-Type": "application/json"}
        assert answer(create, b'{"name": "theirs"}', **of_another_page) == 403
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        ours = [command for command in commands if str(port).encode() in command]
        assert ours
        assert not [command for command in ours if b"mlflow.db" in command], "whoever is on this machine can read them"
