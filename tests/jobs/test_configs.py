"""The configs that users copy are right, by our own check and by the JSON Schemas that their editors use."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from schemas.__main__ import JSON_DIR
from schemas.config import TrainConfig
from schemas.features import FeatureSpec
from schemas.loading import load
from schemas.sweep import SweepConfig

CONFIGS = sorted((Path(__file__).parents[2] / "jobs" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_is_right(path):
    if path.stem.endswith("_features"):
        load(FeatureSpec, path)
        name = "feature_spec.json"
    elif path.stem.endswith("_sweep"):
        load(SweepConfig, path)
        name = "sweep_config.json"
    else:
        load(TrainConfig, path)
        name = "train_config.json"
    schema = json.loads((JSON_DIR / name).read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_names_its_schema_for_editors(path):
    first_line = path.read_text().splitlines()[0]
    named = first_line.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).is_file()
