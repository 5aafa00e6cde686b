from datetime import date
from itertools import count
from pathlib import Path

import mlflow
import numpy as np
import pytest
from bundles import bundle_logits
from mlflow import MlflowClient
from mlflow.models import Model

from pipeline.registry import model_uri, registration, versions
from pipeline.registry.bundle import Bundle
from pipeline.registry.client import as_markdown
from pipeline.registry.datasets import LogRows
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.tags import BUNDLE, COLUMNS, KEY, VERDICT
from pipeline.registry.tracking import Tracking, connect
from pipeline.registry.versions import Version
from schemas.config import MLflowConfig
from schemas.errors import Failure, Refusal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Tracking:
    folder = tmp_path_factory.mktemp("work")
    return connect(MLflowConfig(tracking_uri=f"sqlite:///{folder}/mlflow.db"), str(folder))


@pytest.fixture(scope="module")
def run(tracked, config) -> Retrain:
    with tracked.retrain("identity", "2026-11-19", config, "[]") as run:
        run.open_stages(config.plan)
        run.finish_stage("deepfm", {"ne": 0.9, "auc": 0.7, "seconds": 3.0})
    return run


@pytest.fixture
def register(tracked, run, bundle_folder, request):
    """Registers the bundle under the test's name, each time as another model."""
    keys = (f"{request.node.name} {number}" for number in count(1))

    def registered(key: str | None = None) -> Version:
        key = key or next(keys)
        return registration.register(tracked, bundle_folder, run.stage_run("deepfm"), request.node.name, key)

    return registered


def aliases(tracked: Tracking, name: str) -> dict[str, str]:
    return {alias: str(number) for alias, number in tracked.client.get_registered_model(name).aliases.items()}


def test_a_candidate_is_the_challenger_and_no_champion(tracked, run, register, request):
    version = register("the night of the 19th")
    assert aliases(tracked, request.node.name) == {"challenger": "1"}
    assert versions.champion(tracked, request.node.name) is None
    assert version.uri == f"models:/{request.node.name}/1"
    assert (version.run_id, version.tags[KEY]) == (run.stage_run("deepfm"), "the night of the 19th")


def test_what_was_registered_under_a_key_is_not_registered_again(tracked, register, request):
    first, _ = register("night"), register("another night")
    assert register("night") == first
    assert aliases(tracked, request.node.name) == {"challenger": "1"}
    assert len(tracked.client.search_model_versions(f"name = '{request.node.name}'")) == 2


def test_a_model_that_was_logged_and_not_registered_is_logged_anew(tracked, register, run, request):
    tags = {KEY: "cut short"}
    orphan = tracked.client.create_logged_model(tracked.experiment_id, "deepfm", run.stage_run("deepfm"), tags)
    register("cut short")
    models = tracked.client.search_logged_models([tracked.experiment_id], f"tags.`{KEY}` = 'cut short'")
    assert orphan.model_id not in {model.model_id for model in models}
    assert len(models) == 1


def test_a_verdict_is_added_later_and_stands_in_the_description_with_figures_and_runs(tracked, run, register, request):
    version = register()
    versions.set_tags(tracked, version, {VERDICT: "NE 0.8", "nightjar.decision": "rejected"})
    found = tracked.client.get_model_version(request.node.name, version.number)
    assert (found.tags[VERDICT], found.tags["nightjar.decision"]) == ("NE 0.8", "rejected")
    verdict, figures, columns, links = found.description.split("\n\n")
    assert (verdict, figures) == ("NE 0.8", "NE 0.9000, AUC 0.7000.")
    assert found.tags[COLUMNS] == (
        "categories: site, hour, is_mobile, user; lists of categories: tags, segments; numbers: price, visits, age"
    )
    assert columns == f"It reads {as_markdown(found.tags[COLUMNS])}."
    pages = [f"#/experiments/1/runs/{run_id}?workflowType=machine_learning" for run_id in (run.run_id, version.run_id)]
    assert links == f"[2026-11-19]({pages[0]}) · [deepfm]({pages[1]})"


def test_a_model_is_described_with_its_champion_and_each_move_of_it_and_a_rollback_is_one(tracked, register, request):
    client, name = tracked.client, request.node.name
    first = register()
    assert "No version is champion yet." in client.get_registered_model(name).description
    versions.promote(tracked, first)
    versions.promote(tracked, register())
    for _ in range(2):  # the second time as after a kill
        versions.promote(tracked, register("night"))
    versions.rollback(tracked, name)
    what, now, moves = client.get_registered_model(name).description.split("\n\n")
    assert "Probabilities of a click" in what
    assert now == "Version 2 is champion: NE 0.9000, AUC 0.7000."
    assert [move.split(" UTC: ")[1] for move in moves.splitlines()] == [
        "version 2 serves again, by a rollback",
        "version 3 promoted",
        "version 2 promoted",
        "version 1 promoted",
    ]


def test_a_models_description_that_somebody_has_written_stays(tracked, register, request):
    name = request.node.name
    version = register()
    MlflowClient(tracked.uri).update_registered_model(name, "Ours: ask the ads team.")
    versions.promote(tracked, version)
    assert tracked.client.get_registered_model(name).description == "Ours: ask the ads team."


def test_a_stage_that_is_not_registered_is_compared_among_the_models_and_not_loaded_as_one(tracked, config):
    rows = LogRows("evaluation", "/logs", (date(2026, 11, 19),), 800, "f0" * 8)
    with tracked.retrain("another", "train 2026-11-19", config, "[]") as run:
        run.open_stages(config.plan)
        run.log_data([rows], "fm")
        run.finish_stage("fm", {"ne": 0.95, "auc": 0.6})
        for _ in range(2):
            registration.log_unregistered(tracked, run.stages["fm"], "fm", "work/runs/1/stages/fm")
    (found,) = tracked.client.search_logged_models([tracked.experiment_id], f"source_run_id = '{run.stages['fm']}'")
    assert {one.key: (one.value, one.dataset_name) for one in found.metrics} == {
        "test/ne": (0.95, rows.name),
        "test/auc": (0.6, rows.name),
    }
    assert (found.status, found.params["model"], found.tags["nightjar.lies_in"]) == (
        "READY",
        "fm",
        "work/runs/1/stages/fm",
    )
    assert tracked.client.get_run(run.stages["fm"]).outputs.model_outputs[0].model_id == found.model_id
    assert len(tracked.client.get_metric_history(run.stages["fm"], "test/ne")) == 1
    with pytest.raises(Refusal, match="one of no models, which the run logged"):
        model_uri.load_bundle(tracked, f"runs:/{run.stages['fm']}/fm")


def test_a_retrain_that_has_become_champion_is_held_against_the_one_before(tracked, register, request):
    name = request.node.name
    assert versions.to_beat(tracked, name, ["night"]) is None
    before, own = register("evening"), register("night")
    versions.promote(tracked, before)
    assert versions.to_beat(tracked, name, ["night"]).number == before.number
    versions.promote(tracked, own)
    assert versions.to_beat(tracked, name, ["night"]).number == before.number
    assert versions.to_beat(tracked, name, ["next night"]).number == own.number


def test_a_rollback_lets_champion_and_previous_champion_change_places(tracked, register, request):
    name = request.node.name
    with pytest.raises(Refusal, match="without a champion"):
        versions.rollback(tracked, name)
    first = register()
    versions.promote(tracked, first)
    with pytest.raises(Refusal, match="without a previous champion"):
        versions.rollback(tracked, name)
    second = register()
    versions.promote(tracked, second)
    assert [version.number for version in versions.rollback(tracked, name)] == [first.number, second.number]
    assert aliases(tracked, name) == {"challenger": "2", "champion": "1", "previous_champion": "2"}


def test_the_figures_of_the_run_are_the_models_and_stand_in_the_run_once(tracked, run, register):
    register()
    newest = tracked.client.search_logged_models([tracked.experiment_id], max_results=1)[0]
    assert {metric.key: metric.value for metric in newest.metrics} == {"test/ne": 0.9, "test/auc": 0.7}
    assert len(tracked.client.get_metric_history(run.stage_run("deepfm"), "test/ne")) == 1


def test_promotion_moves_the_champion_and_remembers_the_one_before(tracked, register, request):
    name = request.node.name
    first, second = register(), register()
    versions.promote(tracked, first)
    assert aliases(tracked, name) == {"challenger": "2", "champion": "1"}
    versions.promote(tracked, second)
    assert aliases(tracked, name) == {"challenger": "2", "champion": "2", "previous_champion": "1"}
    versions.promote(tracked, second)
    assert aliases(tracked, name) == {"challenger": "2", "champion": "2", "previous_champion": "1"}
    assert versions.champion(tracked, name).number == second.number


def test_an_alias_is_pinned_to_the_version_it_names_now(tracked, register):
    version = register()
    assert model_uri.pinned(tracked, f"models:/{version.name}@challenger") == version.uri
    for other in (version.uri, f"models:/{version.name}@nobody", "runs:/1/fm", "folder"):
        assert model_uri.pinned(tracked, other) == other


def test_a_bundle_is_loaded_by_alias_version_model_run_and_folder(tracked, run, register, bundle_folder, random_log):
    version = register()
    logged = tracked.client.search_logged_models(
        [tracked.experiment_id], f"source_run_id = '{run.stage_run('deepfm')}'"
    )
    model_id = max(logged, key=lambda model: model.creation_timestamp).model_id
    folder = tracked.client.get_logged_model(model_id).artifact_location
    log = random_log(20, 1)
    expected = bundle_logits(Bundle.load(bundle_folder), log)
    run_uri = f"runs:/{run.stage_run('deepfm')}/deepfm"
    alias = f"models:/{version.name}@challenger"
    for uri in (alias, version.uri, f"models:/{model_id}", run_uri, folder, f"file://{folder}", str(bundle_folder)):
        assert np.array_equal(bundle_logits(model_uri.load_bundle(tracked, uri), log), expected), uri


@pytest.fixture
def edited(tracked, register) -> tuple[Version, list[str], Path]:
    """A version whose model would be another, though each hash in its bundle is right; its URIs and its folder."""
    version = register()
    folder = Path(tracked.client.get_model_version_download_uri(version.name, version.number))
    model_id = folder.parent.name  # where the artifacts of a logged model lie
    contents = folder / "artifacts/bundle/bundle.json"
    contents.write_text(contents.read_text().replace("relu", "tanh"))
    return version, [version.uri, f"models:/{version.name}@challenger", f"models:/{model_id}"], folder


def test_a_registered_bundle_whose_contents_were_edited_is_refused_by_each_of_its_uris(tracked, run, edited):
    version, uris, _ = edited
    for uri in (*uris, f"runs:/{run.stage_run('deepfm')}/deepfm"):
        with pytest.raises(Refusal, match=r"bundle\.json with SHA-256"):
            model_uri.load_bundle(tracked, uri)
    with pytest.raises(Refusal, match=r"bundle\.json with SHA-256"):
        model_uri.contents_of(tracked, version.uri)


def test_a_served_model_whose_contents_were_edited_is_not_loaded(edited):
    with pytest.raises(Refusal, match=r"bundle\.json with SHA-256"):
        mlflow.pyfunc.load_model(str(edited[2]))


def test_a_version_of_before_digests_were_kept_loads_as_it_did_and_says_so(
    tracked, register, bundle_folder, random_log, caplog
):
    version, log = register(), random_log(20, 1)
    model_uri.contents_of(tracked, version.uri)
    assert not caplog.records
    tracked.client.delete_model_version_tag(version.name, version.number, BUNDLE)
    loaded = model_uri.load_bundle(tracked, version.uri)
    assert np.array_equal(bundle_logits(loaded, log), bundle_logits(Bundle.load(bundle_folder), log))
    assert "was registered before digests were kept" in caplog.text


def test_what_does_not_exist_is_refused_with_what_does(tracked, run, register, request, tmp_path):
    name = request.node.name
    register()
    versions.promote(tracked, register())
    there = f"versions 2, 1 of {name}, {name}@challenger \\(version 2\\), {name}@champion \\(version 2\\)"
    for uri in (f"models:/{name}@chmapion", f"models:/{name}/3", f"models:/{name}/latest"):
        with pytest.raises(Refusal, match=there):
            model_uri.load_bundle(tracked, uri)
    for uri in ("models:/nope@champion", "models:/nope/1", "models:/m-0"):
        with pytest.raises(Refusal, match=f"registered models .*{name}"):
            model_uri.load_bundle(tracked, uri)
    with pytest.raises(Refusal, match=r"bundle\.json"):
        model_uri.load_bundle(tracked, str(tmp_path))
    with pytest.raises(Refusal, match=r"Run with id=0+ not found"):
        model_uri.load_bundle(tracked, f"runs:/{'0' * 32}/deepfm")
    with pytest.raises(Refusal, match="one of deepfm, which the run logged"):
        model_uri.load_bundle(tracked, f"runs:/{run.stage_run('deepfm')}/fm")


def test_a_model_that_is_not_nightjars_is_refused(tracked, request, tmp_path):
    (tmp_path / "MLmodel").write_text("flavors: {}")
    tracked.client.create_registered_model(request.node.name)
    tracked.client.create_model_version(request.node.name, str(tmp_path))
    with pytest.raises(Refusal, match="the folder of a Nightjar bundle"):
        model_uri.load_bundle(tracked, f"models:/{request.node.name}/1")


def test_the_served_model_scores_raw_rows_as_the_bundle_does(tracked, register, bundle_folder, random_log, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    log = random_log(200, 1)
    expected = Bundle.load(bundle_folder).probabilities(log)
    folder = tracked.client.get_model_version_download_uri(register().name, "1")
    model = mlflow.pyfunc.load_model(folder)
    for frame in (log.to_pandas(), log.to_pandas().convert_dtypes(), log.to_pandas()[::-1]):
        scored = model.predict(frame).sort_index()
        assert np.array_equal(scored["probability"], expected)
    for i in range(10):
        row = log.slice(i, 1)
        assert model.predict(row.to_pandas())["probability"].item() == pytest.approx(expected[i].item(), rel=1e-5)
    beyond = log.to_pandas().astype({"age": float})
    beyond.loc[3, "age"] = 1e300
    with pytest.raises(Failure, match="the rows to score: the model makes no finite score of 1 of 200 rows"):
        model.predict(beyond)
    with pytest.raises(mlflow.MlflowException, match="found     no column 'hour'"):
        model.predict(log.to_pandas().drop(columns="hour"))


def test_what_a_served_model_reads_and_answers_stands_in_its_files(tracked, register, bundle_folder):
    said = Model.load(tracked.client.get_model_version_download_uri(register().name, "1"))
    spec = Bundle.load(bundle_folder).spec
    assert said.metadata["columns"] == {field.name: field.kind for field in spec.fields}
    assert said.signature.outputs.input_names() == ["probability"]
    assert said.signature.inputs is None, "by which MLflow would look at each value"
