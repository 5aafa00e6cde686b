"""The configs that users copy are right, by our own check and by the JSON Schemas that their editors use."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from schemas.__main__ import JSON_DIR
from schemas.config import TrainConfig
from schemas.loading import load, load_features

CONFIGS = sorted((Path(__file__).parents[2] / "jobs" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_is_right(path):
    is_spec = path.stem.endswith("_features")
    if is_spec:
        load_features(path)
    else:
        load(TrainConfig, path)
    schema = json.loads((JSON_DIR / ("feature_spec.json" if is_spec else "train_config.json")).read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_names_its_schema_for_editors(path):
    first_line = path.read_text().splitlines()[0]
    named = first_line.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).is_file()
