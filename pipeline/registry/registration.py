"""How a bundle becomes a model of MLflow's, and a version of a registered one: the `challenger`."""

import json
import tempfile
import warnings
from collections.abc import Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data import store
from pipeline.registry import bundle, datasets, descriptions, figures
from pipeline.registry.aliases import aliases_of
from pipeline.registry.tags import (
    BUNDLE,
    COLUMNS,
    EXTERNAL,
    KEY,
    LIES_IN,
    MAX_TAG_CHARACTERS,
    MODEL_VERSIONS,
    OBJECTIVE,
    has,
    quoted,
)
from pipeline.registry.tracking import Tracking
from pipeline.registry.versions import CHALLENGER, CHAMPION, Version
from schemas.features import FeatureSpec
from schemas.scores import score_columns

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.models import ModelSignature

    from pipeline.registry.client import Client

PACKAGES = Path(__file__).parents[2]
# All that loading a bundle imports, and no more: a served model needs no Ray.
REQUIREMENTS = ("fsspec", "mlflow", "numpy", "pandas", "pyarrow", "pydantic", "PyYAML", "safetensors", "torch")


def register(tracking: Tracking, bundle_folder: Path, run_id: str, name: str, key: str) -> Version:
    """Log the bundle as a model of the run, make that a version of `name`, and point `challenger` to it.

    The run's `test/...` figures become the model's. Whatever fails, the aliases are as before. What was registered
    under the same `key` before is returned as it is; what an interrupted attempt has logged is deleted.
    """
    from mlflow.exceptions import MlflowException

    client = tracking.client
    registered = _registered_as(client, name, key)
    if registered is not None:
        client.set_registered_model_alias(name, CHALLENGER, registered.number)
        return registered
    model, tags = _logged(tracking, bundle_folder, run_id, key)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # Not models:/<id>: a database's registry looks that up by MLflow's global tracking URI.
    source = model.artifact_location
    created = client.create_model_version(name, source, run_id, tags, model_id=model.model_id)
    links = [{"name": name, "version": str(created.version)}]
    client.set_logged_model_tags(model.model_id, {MODEL_VERSIONS: json.dumps(links)})
    client.set_registered_model_alias(name, CHALLENGER, created.version)
    descriptions.describe_model(tracking, name, aliases_of(client, name).get(CHAMPION))
    return Version.of(created)


def _logged(tracking: Tracking, bundle_folder: Path, run_id: str, key: str) -> "tuple[LoggedModel, dict[str, str]]":
    """The bundle as a model of the run, and the tags of its version."""
    client = tracking.client
    contents = bundle.read_contents(bundle_folder)
    for orphan in _logged_as(tracking, key):
        client.delete_logged_model(orphan.model_id)
    columns = descriptions.columns_in_words(contents.features)[:MAX_TAG_CHARACTERS]
    tags = {KEY: key, BUNDLE: bundle.digest_of(bundle_folder), COLUMNS: columns}
    tags |= {OBJECTIVE: contents.features.objective} if contents.features.objective != "binary" else {}
    run = client.get_run(run_id)
    model = client.create_logged_model(tracking.experiment_id, contents.stage.name, run_id, tags, run.data.params)
    _link(client, model, run)
    with tempfile.TemporaryDirectory() as folder:
        _save_model(f"{folder}/model", bundle_folder, contents.features, model, run_id)
        client.log_model_artifacts(model.model_id, f"{folder}/model")
    client.finalize_logged_model(model.model_id, "READY")
    return model, tags


def _registered_as(client: "Client", name: str, key: str) -> Version | None:
    found = client.search_model_versions(f"name = {quoted(name)} and {has(KEY, key)}")
    return Version.of(client.get_model_version(name, found[0].version)) if found else None


def _logged_as(tracking: Tracking, key: str) -> "list[LoggedModel]":
    return list(tracking.client.search_logged_models([tracking.experiment_id], has(KEY, key)))


def log_unregistered(tracking: Tracking, run_id: str, name: str, lies_in: str) -> None:
    """Let a stage that was not registered be compared among the models, as one that MLflow does not keep.

    `lies_in`: the folder of its state. Where the run has a model already, nothing is done.
    """
    client = tracking.client
    run = client.get_run(run_id)
    if run.outputs and run.outputs.model_outputs:
        return
    tags = {EXTERNAL: "true", LIES_IN: lies_in}
    model = client.create_logged_model(tracking.experiment_id, name, run_id, tags, run.data.params)
    _link(client, model, run)
    client.finalize_logged_model(model.model_id, "READY")


def _link(client: "Client", model: "LoggedModel", run: "Run") -> None:
    """Make the model an output of the run, and the run's final figures its own, on the rows that it was judged on."""
    from mlflow.entities import LoggedModelOutput, Metric

    run_id = run.info.run_id
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    # The same time as in Retrain._log, so that the run keeps one point of each.
    time_ms = run.info.start_time
    rows = datasets.judged_on(run) or (None, None)
    found = figures.in_order(figures.of_model(run.data.metrics))
    client.log_batch(run_id, metrics=[Metric(name, value, time_ms, 0, model.model_id, *rows) for name, value in found])


def _save_model(path: str, bundle_folder: Path, spec: FeatureSpec, model: "LoggedModel", run_id: str) -> None:
    with warnings.catch_warnings():
        # MLflow warns of its own type hints, and would like an example row, to run the model on it at each retrain.
        warnings.simplefilter("ignore", UserWarning)
        from mlflow import pyfunc
        from mlflow.models import Model

        classes = store.read_target(str(bundle_folder.absolute())).classes
        pyfunc.save_model(
            path,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"bundle": str(bundle_folder)},
            model_config={BUNDLE: bundle.digest_of(bundle_folder)},
            code_paths=[str(PACKAGES / "pipeline"), str(PACKAGES / "schemas")],
            pip_requirements=[f"{name}=={installed(name).partition('+')[0]}" for name in REQUIREMENTS],
            signature=_signature(score_columns(spec.objective, classes)),
            metadata={"columns": {field.name: field.kind for field in spec.fields}},
            mlflow_model=Model(
                artifact_path=model.artifact_location,
                run_id=run_id,
                model_uuid=model.model_id,
                model_id=model.model_id,
            ),
        )


def _signature(columns: Sequence[str]) -> "ModelSignature":
    """Of what comes out alone. Of what goes in, `metadata` and the version's tag tell the columns.

    pandas and JSON change a column's type as soon as a value is missing, so that each of MLflow's types would refuse
    what is served, of an optional column too: `double` integers, as JSON makes of `{"price": 5}`; `string` integers,
    booleans and categories; a list the NaN of a record that lacks it. AnyType takes all, and MLflow then looks at each
    value, which costs more than to score it.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    return ModelSignature(outputs=Schema([ColSpec("float", name) for name in columns]))
