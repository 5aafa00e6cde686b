"""What the registry's pages say in words of a registered model and of its versions, kept current with each move."""

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.registry import datasets, views
from pipeline.registry.aliases import aliases_of
from pipeline.registry.tags import COLUMNS, DESCRIBED, HISTORY, OBJECTIVE, PARENT
from pipeline.registry.tracking import Tracking
from schemas.features import FeatureSpec

if TYPE_CHECKING:
    from mlflow.entities import Run

KINDS = {"categorical": "categories", "multi_valued": "lists of categories", "numeric": "numbers"}
KEPT, SHOWN = 40, 12  # moves of the champion
SAYS = {
    "binary": "Probabilities of a click",
    "multiclass": "A probability of each class",
    "regression": "Numbers, in the label's unit,",
}
WHAT = (
    " for raw rows of a log, with missing and unseen values among them. Nightjar trains its versions, and lets the "
    "alias champion name one that its gate finds fit; challenger is the newest."
)
TOLD = (("NE", "test/ne"), ("AUC", "test/auc"), ("accuracy", "test/accuracy"), ("RMSE", "test/rmse"))


def remember(tracking: Tracking, name: str, number: str, what: str) -> None:
    """Note that a version was made champion, and how; told again, as after a kill, it is noted once."""
    client = tracking.client
    history = _history(tracking, name)
    if not history or history[-1][1:] != [number, what]:
        history.append([datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), number, what])
        client.set_registered_model_tag(name, HISTORY, json.dumps(history[-KEPT:]))
    describe_model(tracking, name, number)


def describe_model(tracking: Tracking, name: str, champion: str | None) -> None:
    """What the model is, who is champion, and the last moves, newest first. What somebody else has written stays."""
    client = tracking.client
    model = client.get_registered_model(name)
    is_ours = not model.description or model.tags.get(DESCRIBED) == _digest(model.description)
    if not is_ours:
        return
    now = "No version is champion yet."
    if champion:
        run_id = client.get_model_version(name, champion).run_id
        figures = _figures(client.get_run(run_id)) if run_id else ""
        now = f"Version {champion} is champion{f': {figures}' if figures else ''}."
    newest = aliases_of(client, name).get("challenger")
    objective = client.get_model_version(name, newest).tags.get(OBJECTIVE, "binary") if newest else "binary"
    moves = [f"{when}: version {number} {what}" for when, number, what in reversed(_history(tracking, name)[-SHOWN:])]
    written = client.update_registered_model(name, f"{SAYS[objective]}{WHAT}\n\n{now}", moves).description
    client.set_registered_model_tag(name, DESCRIBED, _digest(written))


def describe_version(tracking: Tracking, name: str, number: str, verdict: str) -> None:
    """The verdict, the figures and the rows that they are of, what it reads, and the runs that it comes from."""
    client = tracking.client
    version = client.get_model_version(name, number)
    run_id = version.run_id
    words = [verdict]
    links: list[tuple[str, str]] = []
    if run_id:
        run = client.get_run(run_id)
        words += [f"{figures}."] if (figures := _figures(run)) else []
        runs = [run] if PARENT not in run.data.tags else [client.get_run(run.data.tags[PARENT]), run]
        links = [(one.info.run_name, views.run_page("", one.info.experiment_id, one.info.run_id)) for one in runs]
    words += [f"It reads {version.tags[COLUMNS]}."] if COLUMNS in version.tags else []
    client.update_model_version(name, number, "\n\n".join(words), links)


def columns_in_words(spec: FeatureSpec) -> str:
    """By what each must hold, which is the same of one row as of many."""
    names = {kind: [field.name for field in spec.fields if field.kind == kind] for kind in KINDS}
    return "; ".join(f"{KINDS[kind]}: {', '.join(own)}" for kind, own in names.items() if own)


def _figures(run: "Run") -> str:
    metrics, rows = run.data.metrics, datasets.judged_on(run)
    named = [f"{shown} {metrics[key]:.4f}" for shown, key in TOLD if key in metrics]
    return f"{', '.join(named)}{f' on {rows[0]}' if rows else ''}" if named else ""


def _history(tracking: Tracking, name: str) -> list[list[str]]:
    written: list[list[str]] = json.loads(tracking.client.get_registered_model(name).tags.get(HISTORY, "[]"))
    return written


def _digest(description: str) -> str:
    return hashlib.sha256(description.encode()).hexdigest()[:16]
