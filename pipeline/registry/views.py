"""Saved views of MLflow's experiment page, under "Views" in its upper right corner, and the addresses of its pages.

Each shows one kind of Nightjar's runs, and none that others write to the same experiment. MLflow writes a
metric with all its digits: a column is as wide as the first four.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pipeline.evaluation.objectives import BESIDE_NE, HEADINGS
from pipeline.registry.tags import (
    BEST_STAGE,
    DATE,
    IDENTITY,
    KIND,
    PART_OF,
    SERVES,
    SHARED_VIEW,
    START,
    VALUES,
)
from schemas.features import Objective

if TYPE_CHECKING:
    from pipeline.registry.tracking import Tracking

NAME, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "attributes.`Duration`"  # which no page lacks
FIGURE = 80  # pixels
TRAINING = {"workflowType": "machine_learning"}


@dataclass(frozen=True, slots=True)
class View:
    """A view: which runs, in which order, and its columns with their widths in pixels, beside name, time and duration.

    All of them fit a screen of 1400 pixels.
    """

    name: str
    runs: str
    columns: Mapping[str, int]
    order_by: str = "attributes.start_time"
    ascending: bool = False
    name_width: int = 240
    charts: tuple[str, ...] = ("test/ne", "test/auc")
    """The metrics that the page of charts begins with."""
    beside: str = "auc"
    """What is told beside NE."""

    @property
    def key(self) -> str:
        """By which an address names it."""
        return self.name.lower()

    def state(self) -> dict[str, Any]:
        """As the page writes it. What is left out is as the page has it by itself."""
        widths = {NAME: self.name_width, CREATED: 135, **self.columns, DURATION: 75}
        return {
            "searchFilter": self.runs,
            "orderByKey": self.order_by,
            "orderByAsc": self.ascending,
            "selectedColumns": list(self.columns),
            "columnOrder": list(widths),
            "columnWidths": widths,
            **self._charts(),
        }

    def _charts(self) -> dict[str, Any]:
        """Its charts in a section of their own; the page adds all others, by name, of which capitals come first."""
        name = f"NE and {HEADINGS[self.beside]}"
        section = {"uuid": "first", "name": name, "display": True, "isReordered": False, "deleted": False}
        charts = [
            {
                "uuid": f"first-{metric}",
                "type": "BAR",
                "metricKey": metric,
                "displayName": metric,
                "metricSectionId": "first",
                "runsCountToCompare": 10,
                "deleted": False,
                "isGenerated": False,
            }
            for metric in self.charts
        ]
        return {
            "compareRunSections": [{**section, "isGenerated": False}],
            "compareRunCharts": charts,
        }


def _metrics(*names: str) -> dict[str, int]:
    """As wide as four digits, or as the name that stands above them."""
    return {f"metrics.`{name}`": max(FIGURE, 8 * len(name)) for name in names}


def _tag_column(tag: str, width: int = 120) -> dict[str, int]:
    return {f"tags.`{tag}`": width}


RETRAINS = View(
    "Retrains",
    f"tags.`{KIND}` = 'retrain'",
    {
        **_metrics("test/ne", "test/auc", "test/calibration"),
        **_tag_column(BEST_STAGE, 140),
        **_tag_column(SERVES),
    },
)
STAGES = View(
    "Stages",
    f"tags.`{KIND}` = 'stage'",
    {
        **_metrics("test/ne", "test/auc", "test/calibration", "total/rows_seen"),
        **_tag_column(PART_OF, 150),
    },
    order_by=f"tags.`{PART_OF}`",  # by time, the page would nest them in what they are a part of
)
NIGHTS = View(
    "Nights",
    f"tags.`{DATE}` != ''",
    {
        **_metrics("test/ne", "progressive/ne", "test/auc", "test/calibration"),
        **_tag_column(SERVES),
        **_tag_column(START, 100),
    },
    order_by=f"tags.`{DATE}`",
    charts=("test/ne", "progressive/ne", "test/auc"),
)
TRIALS = View(
    "Trials",
    f"tags.`{KIND}` = 'trial'",
    {
        **_metrics("validation/best_ne"),
        "metrics.`validation/auc_at_best_ne`": 100,
        **_tag_column(VALUES, 320),
        **_tag_column(PART_OF),
    },
    order_by="metrics.`validation/best_ne`",
    ascending=True,
    name_width=110,
    charts=("validation/best_ne", "validation/auc_at_best_ne"),
)
VIEWS = (RETRAINS, STAGES, NIGHTS, TRIALS)


def offer(tracking: "Tracking", objective: Objective) -> None:
    """Save the views with the experiment; those that stand there already stay, for they may have been changed."""
    client, experiment_id = tracking.client, tracking.experiment_id
    saved = client.get_experiment(experiment_id).tags
    now_ms = int(time.time() * 1000)
    for view in VIEWS:
        if _tag(view) not in saved:
            state = json.dumps(_as_of(objective, view).state())
            whole = {"name": view.name, "createdAt": now_ms, "updatedAt": now_ms, "state": state}
            client.set_experiment_tag(experiment_id, _tag(view), json.dumps(whole))


def _as_of(objective: Objective, view: View) -> View:
    """With what the objective has in the place of AUC, and without the calibration that only clicks have."""
    if objective == "binary":
        return view
    columns = {name: width for name, width in view.columns.items() if "calibration" not in name}
    columns = {_without_auc(name, objective): width for name, width in columns.items()}
    charts = tuple(_without_auc(name, objective) for name in view.charts)
    return replace(view, columns=columns, charts=charts, beside=BESIDE_NE[objective])


def _without_auc(name: str, objective: Objective) -> str:
    return name.replace("/auc", f"/{BESIDE_NE[objective]}")


def newest_page(tracking: "Tracking", url: str) -> str:
    """The address to open first: of the experiment that Nightjar's newest run is in, in the view of such runs."""
    client = tracking.client
    experiments = {one.experiment_id: one for one in client.search_experiments()}
    found = client.search_runs(
        list(experiments), f"tags.`{IDENTITY}` != ''", max_results=1, order_by=["attributes.start_time DESC"]
    )
    if not found:
        return page(url, tracking.experiment_id)
    newest = found[0]
    view = NIGHTS if DATE in newest.data.tags else RETRAINS
    experiment_id = str(newest.info.experiment_id)
    return page(url, experiment_id, view if _tag(view) in experiments[experiment_id].tags else None)


def page(url: str, experiment_id: str, view: View | None = None) -> str:
    """Of an experiment's runs; without the parameter the page hides training, registry and all, for language models."""
    parameters = {**TRAINING, **({"viewStateShareKey": view.key} if view else {})}
    place = f"experiments/{experiment_id}/runs" if experiment_id else "experiments"
    return f"{url.rstrip('/')}/#/{place}?{urlencode(parameters)}"


def run_page(url: str, experiment_id: str, run_id: str) -> str:
    """Of a run; without a `url` as it is linked to from another of MLflow's pages."""
    return f"{url}#/experiments/{experiment_id}/runs/{run_id}?{urlencode(TRAINING)}"


def _tag(view: View) -> str:
    return f"{SHARED_VIEW}{view.key}"
