"""What is refused before anything is trained."""

from pathlib import Path

import pytest
from command import nightjar
from sweep_folder import RATE, write_sweep


def refused(folder: Path, *arguments: str) -> str:
    done = nightjar(
        "sweep", "--config", "train.yaml", "--sweep", "sweep.yaml", "--out", "best.yaml", *arguments, cwd=folder
    )
    assert done.exit_code == 2, done.stderr
    message = done.stderr.partition("nightjar: refused\n")[2]
    assert {line.split()[0] for line in message.splitlines()} == {"found", "expected", "where", "remedy"}
    assert not (folder / ".nightjar").exists(), "neither MLflow nor Ray was begun with"
    return message


@pytest.mark.parametrize(
    ("changes", "found", "remedy_or_expected"),
    [
        ({"space": {RATE: {"choice": []}}}, "[]", "at least 1 item"),
        ({"space": {RATE: {"uniform": [0.2, 0.1]}}}, "[0.2, 0.1]", "0.2 is not below 0.1"),
        ({"space": {RATE: {"integer": [3, 3]}}}, "[3, 3]", "3 is not below 3"),
        ({"space": {RATE: {"log_uniform": [0, 0.1]}}}, "[0, 0.1]", "above 0"),
        (
            {"space": {RATE: {"uniform": [0, 1], "choice": [1]}}},
            "{choice: [1], uniform: [0, 1]}",
            "exactly one of choice",
        ),
        ({"space": {RATE: {"log_unifrom": [0.1, 1]}}}, "unknown key 'log_unifrom'", "did you mean 'log_uniform'?"),
        ({"space": {}}, "no keys", "at least 1 item"),
        ({"seeds": 0}, "0", "greater than 0"),
        ({"seeds": 21}, "21", "less than or equal to 20"),
        ({"trails": 3}, "unknown key 'trails'", "did you mean 'trials'?"),
        ({"stage": "deepfm"}, "stage 'deepfm'", "fm, fnn, dnn"),
        ({"space": {"data.negative_share": {"uniform": [0.1, 1]}}}, "key 'data.negative_share'", "share their rows"),
        ({"space": {"seed": {"integer": [0, 9]}}}, "key 'seed'", "share their rows"),
        ({"space": {"stages.dnn.epochs": {"uniform": [1, 2]}}}, "does not start from", "keys of fm, fnn, or of table"),
        ({"space": {"stages.2.epochs": {"uniform": [1, 2]}}}, "does not start from", "keys of fm, fnn, or of table"),
        ({"space": {"stages.fnn.embedding.rate": {"uniform": [1, 2]}}}, "unknown key 'rate'", "from sweep.yaml"),
        ({"space": {"table.dimension": {"choice": ["wide"]}}}, "'wide'", "correct the value"),
        ({"space": {"stages.ffm.epochs": {"uniform": [1, 2]}}}, "'ffm'", "name the element as the config does"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(folder, changes, found, remedy_or_expected):
    write_sweep(folder, **{"trials": 2, "seed": 3, **changes})
    message = refused(folder)
    assert found in message
    assert remedy_or_expected in message


@pytest.mark.parametrize("seeds", ["0", "-3", "1000"])
def test_a_number_of_seeds_that_nobody_could_mean_is_refused(folder, seeds):
    message = refused(folder, "--seeds", seeds)
    assert f"found     {seeds}" in message
    assert "sweep.yaml: seeds" in message


def test_trials_without_validation_rows_are_refused(folder):
    assert "data.validation_share=0.05" in refused(folder, "--set", "data.validation_share=0")


def test_a_stage_that_starts_from_a_registered_model_is_refused(folder):
    assert "models:/ctr@champion" in refused(folder, "--set", "stages.fnn.init_from=models:/ctr@champion")


def test_a_file_that_is_there_is_not_replaced_unasked(folder):
    (folder / "best.yaml").write_text("mine")
    assert "--force" in refused(folder)
    assert (folder / "best.yaml").read_text() == "mine"
