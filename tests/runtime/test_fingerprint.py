"""Which results a change of which sources makes anew."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import grimp
import pytest
from bundles import write_random_bundle
from click_logs import click_rows, data_of, write_day
from six_days import config_of
from source_tree import REPOSITORY, change, copy_sources

from pipeline.data import logs
from pipeline.data.encoded_days import ENCODING
from pipeline.profiles.profiler import PROFILING, profile_days
from pipeline.registry.bundle import Bundle
from pipeline.retrain.dataset import TRAINING, identity_of, store_name
from pipeline.runtime import fingerprint
from pipeline.scoring.score import SCORING, day_folder
from pipeline.sweep.search import SEARCHING

DAY = date(2026, 11, 1)
ALL = {"store", "retrain", "scores", "profile"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_random_bundle(tmp_path_factory.mktemp("bundle"), click_rows())


@pytest.fixture
def names(tmp_path: Path, bundle: Bundle):
    """What the results of one config over one day are called by."""
    write_day(tmp_path / "logs", DAY, click_rows())
    config = config_of(tmp_path / "logs")
    manifest = logs.find(config.data, [DAY])

    def name() -> dict[str, str]:
        (profile,) = profile_days(manifest, config.data, str(tmp_path / "work"))
        return {
            "store": store_name(config, manifest),
            "retrain": identity_of(config, manifest),
            "scores": day_folder(bundle, "models:/ctr/1", manifest, str(tmp_path / "out"), 1000).key,
            "profile": profile.spec_fingerprint,
        }

    return name


@pytest.mark.parametrize(
    ("path", "made_anew"),
    [
        ("schemas/features.py", ALL),
        ("schemas/data.py", ALL),
        ("schemas/stage.py", {"retrain", "scores"}),
        ("schemas/page.py", set()),
        ("schemas/loading.py", set()),
        ("schemas/yaml_text.py", set()),
        ("pipeline/data/encode.py", ALL),
        ("pipeline/data/a_new_one.py", ALL),
        ("pipeline/embedding/table.py", {"retrain", "scores"}),
        ("pipeline/models/fm.py", {"retrain", "scores"}),
        ("pipeline/evaluation/metrics.py", {"retrain", "scores"}),
        ("pipeline/registry/bundle.py", {"retrain", "scores"}),
        ("pipeline/training/loop.py", {"retrain"}),
        ("pipeline/training/on_ray/worker.py", {"retrain"}),
        ("pipeline/retrain/warm_start.py", {"retrain"}),
        ("pipeline/scoring/score.py", {"scores"}),
        ("pipeline/profiles/profile.py", {"store", "retrain", "profile"}),
        ("pipeline/profiles/bounds.py", set()),
        ("pipeline/report/html.py", set()),
        ("pipeline/nights/page.py", set()),
        ("pipeline/registry/tracking.py", set()),
        ("pipeline/runtime/files.py", set()),
        ("jobs/train.py", set()),
        ("pipeline/data/README.md", set()),
        ("schemas/json/train_config.json", set()),
    ],
)
def test_a_change_makes_anew_what_depends_on_it_and_nothing_else(names, tmp_path, monkeypatch, path, made_anew):
    before = names()
    tree = copy_sources(tmp_path / "tree")
    change(tree, path)
    monkeypatch.setattr(fingerprint, "ROOT", tree)
    after = names()
    assert {name for name in before if before[name] != after[name]} == made_anew


def test_a_file_that_goes_or_gets_another_name_is_a_change(tmp_path, monkeypatch):
    found = {fingerprint.of_sources("pipeline/data")}
    for name in ("renamed.py", "gone.txt"):
        tree = copy_sources(tmp_path / name)
        (tree / "pipeline" / "data" / "batch.py").rename(tree / "pipeline" / "data" / name)
        monkeypatch.setattr(fingerprint, "ROOT", tree)
        found.add(fingerprint.of_sources("pipeline/data"))
    assert len(found) == 3


@pytest.mark.parametrize("place", ["pipeline/reports", "pipeline/data/encoder.py"])
def test_a_place_that_is_not_there_does_not_pass_for_one_without_changes(place):
    with pytest.raises(AssertionError, match=f"{place} has no sources"):
        fingerprint.of_sources("schemas", place)


def test_the_files_beside_the_code_count_whatever_else_is_called_like_them(tmp_path):
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "features.py").touch()
    code = "from pipeline.runtime import fingerprint; print(fingerprint.of_sources('schemas', 'pipeline/data'))"
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "tests"), str(REPOSITORY)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True, capture_output=True, check=True
    )
    assert done.stdout.strip() == fingerprint.of_sources("schemas", "pipeline/data")


RUNTIME = "pipeline.runtime"  # where files lie and who works, not what comes of it
LOCATIONS = "schemas.locations"  # as RUNTIME
# How a config is read, and written for the next retrain: what it says is in the result's name.
LOADING = {"schemas.loading", "schemas.overrides", "schemas.yaml_text", "schemas.yaml_edit"}
REDACTION = "schemas.redaction"  # what is shown
RECORDING = "pipeline.retrain.recording"  # what is told of it in MLflow
ON_NODES = "pipeline.retrain.on_nodes"  # whether a cluster is given work at all
AROUND_A_RETRAIN = {
    RUNTIME,
    LOCATIONS,
    REDACTION,
    "schemas.scores",  # of days that are scored later
    "schemas.register",  # which stages become versions
    "pipeline.registry",  # but for the bundle: records and registers what came of it
    "pipeline.report",  # shows it
    # What the gate is shown, and what becomes of its verdict: asked once, when the stages are there.
    "pipeline.scoring",
    "pipeline.retrain.baselines",
    "pipeline.retrain.disk",
    "pipeline.retrain.explaining",  # tells of what has come of it
    "pipeline.retrain.fit",  # shows and times what training.on_ray does
    "pipeline.retrain.judging",
    "pipeline.retrain.leasing",
    "pipeline.retrain.leftovers",
    "pipeline.retrain.page",
    ON_NODES,
    "pipeline.retrain.opening",
    "pipeline.retrain.opponent",
    "pipeline.retrain.promotion",
    RECORDING,
    "pipeline.retrain.run",
    "pipeline.retrain.summary",
    "pipeline.retrain.trained",
}


AROUND_A_SWEEP = {
    RUNTIME,
    LOCATIONS,
    REDACTION,
    *LOADING,
    "pipeline.registry",
    "pipeline.report",
    ON_NODES,
    RECORDING,
}


def test_neither_a_timezone_nor_a_partitioning_that_finds_the_same_files_changes_a_name(tmp_path):
    write_day(tmp_path / "logs", DAY, click_rows())
    names = []
    for changes in ({}, {"timezone": "Asia/Tokyo"}, {"partitioning": {"by": "path", "path": "date=YYYY-MM-DD"}}):
        data = data_of(tmp_path / "logs", **changes)
        config, manifest = config_of(tmp_path / "logs", data=data), logs.find(data, [DAY])
        names.append((store_name(config, manifest), identity_of(config, manifest), manifest.fingerprint))
    assert len({*names}) == 1


@pytest.mark.parametrize(
    ("maker", "sources", "exceptions"),
    [
        ("pipeline.data.passes", ENCODING, {RUNTIME, LOCATIONS}),
        ("pipeline.data.store", ENCODING, {RUNTIME}),
        ("pipeline.data.encoded_days", ENCODING, {RUNTIME, LOCATIONS}),
        ("pipeline.retrain.opening", TRAINING, AROUND_A_RETRAIN),
        ("pipeline.training.on_ray.trainer", TRAINING, {RUNTIME, LOCATIONS}),
        ("pipeline.training.local", TRAINING, {RUNTIME, LOCATIONS}),
        (
            "pipeline.sweep.search",
            (*TRAINING, *SEARCHING),
            AROUND_A_SWEEP,
        ),
        ("pipeline.scoring.score", SCORING, {RUNTIME, LOCATIONS, "pipeline.training.memory"}),  # as RUNTIME
        ("pipeline.profiles.profiler", PROFILING, {RUNTIME, LOCATIONS}),
    ],
)
def test_all_that_a_result_is_made_by_is_among_its_sources(imports, maker, sources, exceptions):
    """A room that its maker begins to use belongs to its sources, or to what is known to change nothing of it."""
    covered = set(fingerprint.sources(REPOSITORY, sources))
    used = {module: file_of(module) for module in (maker, *imports.find_upstream_modules(maker))}
    left_out = {module for module, file in used.items() if file not in covered}
    unknown = {module for module in left_out if not any(within(module, place) for place in exceptions)}
    assert not unknown, f"{maker} depends on them: add them to its sources"
    assert all(any(within(module, place) for module in left_out) for place in exceptions), "an exception of no use"


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("schemas", "pipeline", cache_dir=None, exclude_type_checking_imports=True)


def file_of(module: str) -> Path:
    path = REPOSITORY.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")
