import json
from pathlib import Path

import pytest
from mlflow.utils.validation import _validate_model_name

from pipeline.registry.tags import quoted
from schemas.__main__ import FOLDER, written
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.loading import load

FEATURES = """
label: click
fields:
  - {name: user, kind: categorical, encoder: {type: vocabulary, min_count: 2}}
  - {name: age, kind: numeric}
"""
CONFIG = """
data:
  logs_uri: logs
  features: features.yaml
stages:
  - {name: fm, model: fm}
  - {name: fnn, model: fnn, init_from: fm, mlp: {hidden: [8]}}
"""


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    (tmp_path / "features.yaml").write_text(FEATURES)
    path = tmp_path / "train.yaml"
    path.write_text(CONFIG)
    return path


def test_features_are_read_beside_the_config(config_path):
    config = load(TrainConfig, config_path)
    assert config.data.features.fields[0].encoder.min_count == 2
    assert config.stages[1].init_from == "fm"


def test_overrides_reach_mappings_and_list_elements_by_name_or_position(config_path):
    config = load(TrainConfig, config_path, ["cluster.num_workers=2", "stages.fnn.epochs=3", "stages.0.batch_size=64"])
    assert (config.cluster.num_workers, config.stages[1].epochs, config.stages[0].batch_size) == (2, 3, 64)


def test_the_last_override_of_a_key_wins(config_path):
    assert load(TrainConfig, config_path, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("yaml", "overrides", "found", "remedy"),
    [
        (CONFIG.replace("name: fnn", "name: warm"), [], "'warm'", "JSON Schemas"),
        (CONFIG, ["stages.fnn.name=refresh"], "'refresh'", "JSON Schemas"),
        (CONFIG, ["stages.fnn.name=origin-1"], "'origin-1'", "JSON Schemas"),
        (CONFIG, ["stages.fnn.rows.l2=0.1"], "unknown key 'rows'", "the key is called 'embedding' now"),
        (CONFIG + "sede: 1\n", [], "unknown key 'sede'", "did you mean 'seed'?"),
        (CONFIG.replace("hidden", "hiden"), [], "unknown key 'hiden'", "did you mean 'hidden'?"),
        (CONFIG + "seed: 1\nseed: 2\n", [], "key 'seed' stands twice", "line"),
        (CONFIG.replace("init_from: fm", "init_from: fn"), [], "starts from 'fn'", "put that stage before"),
        (CONFIG.replace("model: fnn", "model: fn"), [], "'fn'", "JSON Schemas"),
        (CONFIG.replace("model: fnn, ", ""), [], "nothing", "JSON Schemas"),
        ("- a\n- b\n", [], "list at the top", "jobs/configs"),
        ("data: {unclosed\n", [], "expected ',' or '}'", "that line"),
        (CONFIG, ["seed"], "'seed'", "--set"),
        (CONFIG, ["stages.dnn.epochs=1"], "'dnn'", "as the config does"),
        (CONFIG, ["table.dimensoin=3"], "unknown key 'dimensoin'", "did you mean 'dimension'?"),
        (CONFIG, ["cluster.num_workers=3"], "4096 does not divide among 3", "choose a multiple of 3"),
        (CONFIG, ["data.split={by: random, row_key: call}"], "'call'", "as `row_key: call` in the feature spec"),
    ],
)
def test_a_wrong_config_is_refused_with_a_remedy(config_path, yaml, overrides, found, remedy):
    config_path.write_text(yaml)
    with pytest.raises(Refusal) as refusal:
        load(TrainConfig, config_path, overrides)
    assert found in refusal.value.found
    assert remedy in refusal.value.remedy


def test_a_wrong_feature_spec_is_refused_at_its_key(config_path):
    (config_path.parent / "features.yaml").write_text(FEATURES.replace("min_count", "mincount"))
    with pytest.raises(Refusal, match="did you mean 'min_count'") as refusal:
        load(TrainConfig, config_path)
    assert refusal.value.where.endswith(": data.features.fields.0.encoder.mincount")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Refusal, match=r"nowhere\.yaml"):
        load(TrainConfig, tmp_path / "nowhere.yaml")


def test_what_is_written_from_the_models_has_not_drifted():
    files = written()
    assert {"README.md", "json/feature_spec.json", "json/sweep_config.json", "json/train_config.json"} == set(files)
    for name, text in files.items():
        assert (FOLDER / name).read_text() == text, "run `make schemas`"


def test_a_later_stage_cannot_be_started_from(config_path):
    with pytest.raises(Refusal, match="no earlier stage"):
        load(TrainConfig, config_path, ["stages.fm.init_from=fnn"])


ODD_NAMES = [
    "",
    " ",
    "..",
    ".",
    ".ctr",
    "ctr.",
    "ctr ",
    " ctr",
    "a/b",
    "a\\b",
    "a:b",
    "a@b",
    "it's",
    'a"b',
    "a`b",
    "a%b",
]
ODD_NAMES += [
    "a*b",
    "a?b",
    "a[b]",
    "a#b",
    "a\nb",
    "a\0b",
    "a\tb",
    "~",
    "-r",
    "x" * 201,
    "\u00e9" * 101,
    "a\u2028b",
    "<b>",
    "a|b",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_model_name_that_no_folder_or_filter_can_hold_is_refused_when_the_config_is_loaded(config_path, name):
    with pytest.raises(Refusal, match="a name of letters, digits"):
        load(TrainConfig, config_path, [f"mlflow.registered_model={json.dumps(name)}"])


@pytest.mark.parametrize("name", ["ctr", "CTR (EU, v2.1)", "klicks-\u00e4\u00f6\u00fc_1+2=3", "x" * 200, "7"])
def test_a_model_name_that_is_taken_is_a_folder_and_needs_no_escape(config_path, name, tmp_path):
    config = load(TrainConfig, config_path, [f"mlflow.registered_model={json.dumps(name)}"])
    assert config.mlflow.registered_model == name
    (tmp_path / name).mkdir()
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    _validate_model_name(name)
    assert quoted(name) == f"'{name}'"


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\nb", "a\0b", "x" * 501])
def test_an_experiment_name_that_mlflow_refuses_or_nobody_can_read_is_refused(config_path, name):
    with pytest.raises(Refusal, match=r"where     .*mlflow\.experiment"):
        load(TrainConfig, config_path, [f"mlflow.experiment={json.dumps(name)}"])
    assert load(TrainConfig, config_path, ['mlflow.experiment="it\'s: a/b"']).mlflow.experiment == "it's: a/b"


def test_a_split_by_a_column_of_lists_is_refused_when_the_config_is_loaded(config_path):
    (config_path.parent / "features.yaml").write_text(f"{FEATURES}  - {{name: tags, kind: multi_valued}}\n")
    with pytest.raises(Refusal, match="'tags' is a multi_valued field, a list a row"):
        load(TrainConfig, config_path, ["data.split={by: random, row_key: tags}"])
    assert load(TrainConfig, config_path, ["data.split={by: random, row_key: user}"]).data.split.row_key == "user"
