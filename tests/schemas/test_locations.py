"""What stands in a file is relative to the file, what is typed to where the command stands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from click_logs import SPEC
from pydantic import BaseModel

from schemas.checking import models_in
from schemas.config import TrainConfig
from schemas.features import FeatureSpec
from schemas.loading import load
from schemas.locations import Location, absolute, absolute_model, absolute_tracking
from schemas.sweep import SweepConfig

# Every other key that holds text; a new one is either a location, or is added here.
NO_LOCATIONS = {
    *("data.split.row_key", "cluster.address", "mlflow.experiment", "mlflow.registered_model"),
    *("data.partitioning.path", "data.partitioning.column", "data.timezone"),
    *("stages.name", "stages.control_of", "stages.days.before", "night.gate.slices"),
}
CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"
STAGES = [{"name": "fm", "model": "fm"}, {"name": "fnn", "model": "fnn"}]


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and field of all that a config may hold; the columns of a spec are the log's."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        for inner in models_in(field.annotation):
            if inner is not FeatureSpec:
                yield from fields_of(inner, f"{prefix}{name}.")


def holds_text(annotation: Any) -> bool:
    return annotation is str or (
        get_origin(annotation) is not Literal and any(holds_text(one) for one in get_args(annotation))
    )


def is_location(field: Any) -> bool:
    return any(isinstance(one, Location) for one in field.metadata)


LOCATIONS = {key: field for key, field in fields_of(TrainConfig) if is_location(field)}


def value_of(config: TrainConfig, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value[1] if isinstance(value, tuple) else value, name)
    return value


def settings_with(key: str, path: str) -> dict[str, Any]:
    """A config of which that key is that path."""
    settings: dict[str, Any] = {
        "work_uri": "/work",
        "data": {"logs_uri": "/logs", "features": SPEC},
        "mlflow": {},
        "stages": [dict(stage) for stage in STAGES],
    }
    *parents, last = key.split(".")
    node = settings
    for name in parents:
        node = node[name][1] if name == "stages" else node[name]
    node[last] = path
    return settings


def test_each_key_that_holds_text_is_a_location_or_known_to_be_none():
    text = {key for key, field in fields_of(TrainConfig) if holds_text(field.annotation)}
    assert text - set(LOCATIONS) == NO_LOCATIONS
    assert set(LOCATIONS) == {"work_uri", "data.logs_uri", "data.features", "mlflow.tracking_uri", "stages.init_from"}
    assert {key for key, field in fields_of(SweepConfig) if is_location(field)} == set()


@pytest.mark.parametrize("key", sorted(LOCATIONS))
def test_a_path_in_a_file_is_relative_to_the_file_and_a_typed_one_to_where_the_command_stands(
    tmp_path, monkeypatch, key
):
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        (folder / "some").mkdir(parents=True)
        (folder / "some" / "place").write_text(yaml.safe_dump({**SPEC, "row_key": folder.name}))
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    scheme = "sqlite:///" if key == "mlflow.tracking_uri" else ""
    typed_key = key.replace("stages.", "stages.fnn.")

    def found(path: str, *overrides: str) -> Any:
        (there / "train.yaml").write_text(yaml.safe_dump(settings_with(key, scheme + path)))
        value = value_of(load(TrainConfig, Path("../there/train.yaml"), overrides), key)
        return value.row_key if isinstance(value, FeatureSpec) else value.removeprefix(scheme)

    ways = {name: name if key == "data.features" else f"{tmp_path}/{name}/some/place" for name in ("there", "here")}
    assert found("some/place") == ways["there"]
    assert found("../here/some/place") == ways["here"]
    assert found("~/some/place") == ways["here"]
    assert found(f"{there}/some/place") == ways["there"]
    assert found("/nowhere", f"{typed_key}={scheme}some/place") == ways["here"]
    assert found("/nowhere", f"{typed_key}={scheme}../there/some/place") == ways["there"]


def test_a_default_location_is_relative_to_the_file_too(tmp_path, monkeypatch):
    settings = settings_with("data.logs_uri", "logs")
    del settings["work_uri"]
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir("/")
    assert load(TrainConfig, tmp_path / "train.yaml").work_uri == f"{tmp_path}/.nightjar"
    defaults = {key for key, field in LOCATIONS.items() if isinstance(field.default, str)}
    assert defaults == {"work_uri"}, "one within a mapping that a file leaves out would not be resolved"


def test_a_whole_mapping_can_be_typed_with_its_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(SPEC))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "train.yaml").write_text(yaml.safe_dump(settings_with("data.logs_uri", "logs")))
    config = load(TrainConfig, Path("deep/train.yaml"), ["data={logs_uri: clicks, features: features.yaml}"])
    assert config.data.logs_uri == f"{tmp_path}/clicks"


def test_the_shipped_configs_lie_in_the_projects_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    root = CONFIGS.parents[1]
    for name, work in {
        "demo": "",
        "study": "",
        "bank_marketing": "",
        "nightly": "/nightly",
        "bank_nightly": "/bank",
    }.items():
        config = load(TrainConfig, CONFIGS / f"{name}.yaml")
        assert config.work_uri == f"{root}/.nightjar{work}"
        assert config.data.logs_uri.startswith(f"{root}/data/")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/logs/", "s3://bucket/logs"),
        ("s3://", "s3://"),
        ("file:///logs/", "/logs"),
        ("file://logs", "/here/logs"),
        ("./a:b", "/here/a:b"),
        ("data:,x", "data:,x"),
        ("s3:/bucket", "s3:/bucket"),
        ("", ""),
        ("~nobody-of-that-name/x", "/here/~nobody-of-that-name/x"),
    ],
)
def test_what_has_a_scheme_stays_and_a_local_one_is_a_path(uri, expected):
    assert absolute(uri, Path("/here")) == expected


@pytest.mark.parametrize("uri", ["https://host", "postgresql://me@host/db", "sqlite://", "sqlite:///", "databricks"])
def test_what_is_no_file_of_sqlite_stays(uri):
    assert absolute_tracking(uri, Path("/here")) == uri
    assert absolute_tracking("sqlite:///:memory:", Path("/here")) == "sqlite:///:memory:"


@pytest.mark.parametrize("name", ["fm", "models:/ctr@champion", "models:/ctr/3", "runs:/0a/fm", "s3://bucket/bundle"])
def test_the_name_of_a_stage_or_model_stays(name):
    assert absolute_model(name, Path("/here")) == name
