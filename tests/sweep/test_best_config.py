import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweep_folder import RATE

from pipeline.sweep.best_config import Given, to_train
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.sweep import as_overrides

CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"
CAME_TO = "trial 3 of 16, validation NE 0.8"
COMMENTED = """\
# What the team trains on.
data:
  logs_uri: logs   # beside this file
  features: features.yaml
stages:
  - name: fm
    model: fm
    batch_size: 64
  # The net.
  - name: fnn
    model: fnn
    init_from: fm
    batch_size: 64
    embedding: &rows {learning_rate: 0.1, l2: 1.0e-4} # found by hand

  # Beside it.
  - name: dnn
    model: dnn
    batch_size: 64
    embedding: *rows
# The end.
"""


def best(folder: Path, values: dict[str, Any], *sets: str, out: Path | None = None) -> str:
    """The text for train.yaml of the folder, as it is told to lie in `out`."""
    return Given.read(folder / "train.yaml", sets, "nightjar sweep").best(values, CAME_TO, out)


def holds(folder: Path, text: str, values: dict[str, Any], *sets: str, out: Path | None = None) -> bool:
    """Whether a file of that text in `out` is what the trial trained under, less what the sweep alone had use for."""
    place = (out or folder / "deep" / "er") / "best.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return load(TrainConfig, place) == to_train(
        load(TrainConfig, folder / "train.yaml", [*sets, *as_overrides(values)])
    )


def changed(before: str, after: str) -> list[str]:
    """The lines that the text after has and the one before has not."""
    return [line for line in after.splitlines() if line not in before.splitlines()]


@pytest.mark.slow
def test_the_best_config_holds_wherever_it_lies(folder, monkeypatch):
    monkeypatch.chdir(folder)
    sets = ["mlflow.tracking_uri=sqlite:///runs.db"]
    config = load(TrainConfig, folder / "train.yaml", sets)
    command = "nightjar sweep --set 'a=\nb' --set u=http://me:secret@host"
    text = Given.read(folder / "train.yaml", sets, command).best({RATE: 0.05}, CAME_TO)
    assert text.splitlines()[0] == f"# nightjar sweep --set 'a= b' --set u=http://***@host: {CAME_TO}"
    (folder / "deep").mkdir()
    (folder / "deep" / "best.yaml").write_text(text)
    monkeypatch.chdir("/")
    again = load(TrainConfig, folder / "deep" / "best.yaml")
    assert again.work_uri == f"{folder}/.nightjar"
    assert again.data.logs_uri == f"{folder}/logs"
    assert again.mlflow.tracking_uri == f"sqlite:///{folder}/runs.db"
    assert again.data.features == config.data.features
    assert again.stages[1].embedding.learning_rate == 0.05
    assert (again.stages[0], again.stages[2]) == (config.stages[0], config.stages[2])


def test_beside_the_config_given_it_is_that_file_with_the_winners_values_in_place_and_all_its_comments(folder):
    (folder / "train.yaml").write_text(COMMENTED)
    values = {"stages.fnn.batch_size": 128}
    text = best(folder, values, out=folder)
    assert changed(COMMENTED, text) == [f"# nightjar sweep: {CAME_TO}", "    batch_size: 128"]
    assert len(text.splitlines()) == len(COMMENTED.splitlines()) + 1
    assert holds(folder, text, values, out=folder)


def test_a_value_that_an_anchor_repeats_is_changed_for_the_winners_stage_alone(folder):
    (folder / "train.yaml").write_text(COMMENTED)
    values = {"stages.dnn.embedding.learning_rate": 0.00003}
    text = best(folder, values, out=folder)
    assert "    embedding: {learning_rate: 3.0e-05, l2: 1.0e-4}\n# The end." in text
    assert re.search(r"    embedding: {learning_rate: 0.1, l2: 1.0e-4} +# found by hand\n\n  # Beside it.", text)
    assert holds(folder, text, values, out=folder)
    values = {RATE: 0.3}
    text = best(folder, values, out=folder)
    assert re.search(r"    embedding: {learning_rate: 0.3, l2: 1.0e-4} +# found by hand\n\n  # Beside it.", text)
    assert "    embedding: {learning_rate: 0.1, l2: 1.0e-4}\n# The end." in text
    assert holds(folder, text, values, out=folder)


def test_a_stage_without_such_a_key_gets_it_before_the_comment_of_the_next_stage(folder):
    (folder / "train.yaml").write_text(COMMENTED)
    values = {"stages.fm.embedding.learning_rate": 0.2, "stages.fnn.mlp.hidden": [8, 4], "table.dimension": 8}
    text = best(folder, values, out=folder)
    lines = text.splitlines()
    at = lines.index("    embedding: {learning_rate: 0.2}")
    assert (lines[at - 1], lines[at + 1]) == ("    batch_size: 64", "  # The net.")
    at = next(number for number, line in enumerate(lines) if "hidden" in line)
    assert (lines[at - 1].rpartition("#")[2], lines[at + 1 : at + 3]) == (" found by hand", ["", "  # Beside it."])
    assert "dimension: 8" in text
    assert holds(folder, text, values, out=folder)


@pytest.mark.slow
def test_what_was_set_on_the_command_line_is_set_in_the_file_from_where_the_command_stood(folder, monkeypatch):
    (folder / "train.yaml").write_text(COMMENTED)
    monkeypatch.chdir(folder.parent)
    sets = ("work_uri=work", "cluster.num_workers=2", "stages.fnn.epochs=3", "data.validation_share=0.05")
    for out in (folder, None):
        text = best(folder, {RATE: 0.05}, *sets, out=out)
        assert holds(folder, text, {RATE: 0.05}, *sets, out=out)
        assert f"work_uri: {folder.parent}/work" in text
        assert "validation_share" not in text, "nothing but the sweep went by it"


@pytest.mark.slow
def test_the_features_of_a_relative_path_are_found_wherever_the_best_config_lies(folder):
    (folder / "train.yaml").write_text(COMMENTED)
    assert "features: features.yaml\n" in best(folder, {RATE: 0.05}, out=folder)
    elsewhere = best(folder, {RATE: 0.05})
    assert f"features: {folder}/features.yaml\n" in elsewhere
    assert "# beside this file" in elsewhere
    assert holds(folder, elsewhere, {RATE: 0.05})


@pytest.mark.slow
def test_a_share_of_validation_rows_of_the_file_goes_where_nothing_but_the_sweep_went_by_it(folder):
    for sets in ((), ("stages.fnn.early_stop={patience: 3}",)):
        text = best(folder, {RATE: 0.05}, *sets, out=folder)
        assert ("validation_share" in text) is bool(sets)
        assert holds(folder, text, {RATE: 0.05}, *sets, out=folder)
    assert "patience: 3" in text, "as it was asked for, and not the sweep's own"


@pytest.mark.slow
def test_what_cannot_be_changed_in_place_becomes_the_whole_config(folder):
    given = yaml.safe_load((folder / "train.yaml").read_text())
    shared, own = {"validation_share": 0.2}, {key: given["data"][key] for key in ("logs_uri", "features")}
    data = f"data:\n  <<: {shared}\n" + "".join(f"  {key}: {value}\n" for key, value in own.items())
    (folder / "train.yaml").write_text(data + yaml.safe_dump({"stages": given["stages"]}))
    text = best(folder, {RATE: 0.05}, out=folder)
    assert holds(folder, text, {RATE: 0.05}, out=folder)
    assert "checkpoint:" in text


def test_keys_that_a_merge_brings_in_are_set_for_the_winners_stage_alone(folder):
    stages = COMMENTED.partition("stages:")[2]
    merged = stages.replace(
        "    model: dnn\n    batch_size: 64\n    embedding: *rows\n", "    <<: *net\n    model: dnn\n"
    )
    merged = merged.replace(
        "  - name: fnn\n    model: fnn\n    init_from: fm\n", "  - &net\n    name: fnn\n    model: fnn\n"
    )
    (folder / "train.yaml").write_text(COMMENTED.partition("stages:")[0] + "stages:" + merged)
    values = {"stages.dnn.embedding.learning_rate": 0.3, "stages.dnn.batch_size": 256}
    text = best(folder, values, out=folder)
    assert "<<: *net" in text
    assert holds(folder, text, values, out=folder)


def test_no_secret_of_the_config_its_comments_or_the_command_line_is_written(folder):
    secret = "http://me:s3cret-wordy@host"
    (folder / "train.yaml").write_text(f"{COMMENTED}mlflow:\n  tracking_uri: {secret} # not {secret}\n")
    text = best(folder, {RATE: 0.05}, f"cluster.address={secret}", out=folder)
    assert "s3cret" not in text
    assert "tracking_uri: http://***@host # not http://***@host\n" in text
    assert text.splitlines()[1] == "# *** stands for a secret: give the key that holds it again, by --set"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bank_marketing", "bank_nightly", "demo", "nightly", "study"])
def test_the_configs_to_copy_keep_all_their_lines_but_those_of_the_winners_values(name, tmp_path):
    path = CONFIGS / f"{name}.yaml"
    stage = load(TrainConfig, path).stages[-1].name
    values = {f"stages.{stage}.optimizer.learning_rate": 0.00321, f"stages.{stage}.mlp.hidden": [64]}
    given = Given.read(path, [], "nightjar sweep")
    text = given.best(values, CAME_TO, CONFIGS)
    assert 3 <= len(changed(given.text, text)) <= 7
    elsewhere = given.best(values, CAME_TO)
    (tmp_path / "best.yaml").write_text(elsewhere)
    assert load(TrainConfig, tmp_path / "best.yaml") == load(TrainConfig, path, as_overrides(values))
    assert {line for line in given.text.splitlines() if line.startswith("#")} <= set(elsewhere.splitlines())


def test_validation_rows_that_the_trained_config_goes_by_stay_what_they_are(folder):
    for key in ("stages.fnn.early_stop={}", "calibration=platt", "data.split.validation_dates=[2026-11-01]"):
        sets = [key, *(["data.validation_share=0"] if "dates" in key else [])]
        config = load(TrainConfig, folder / "train.yaml", sets)
        assert to_train(config) == config
