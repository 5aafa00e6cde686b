"""What a run's final figures are called in MLflow, where the part before the last / is their section among the charts.

Sections stand in the order of their names: what is compared, under `test`, comes before what it cost.
"""

import re
from collections.abc import Mapping

from pipeline.evaluation.metrics import VALIDATION

TEST, LIFT = "test", "test/lift"
# What a stage's results hold besides its metrics.
TOTALS = ("rows_seen", "training_rows", "passes", "rows_per_second", "seconds")
# Of all stages, beside each other on the parent.
COMPARED = ("ne", "auc", "gauc", "log_loss", "calibration", "accuracy", "macro_f1", "rmse", "mae")


def of_stage(results: Mapping[str, float]) -> dict[str, float]:
    """A stage's results by their names in its own run, and the best stage's in the parent."""
    return {_called(name): value for name, value in results.items()}


def beside_others(stage: str, results: Mapping[str, float]) -> dict[str, float]:
    """A stage's results by their names in the parent, of those by which stages are compared."""
    return {f"{TEST}/{stage}/{name}": results[name] for name in COMPARED if name in results}


def of_model(metrics: Mapping[str, float]) -> dict[str, float]:
    """Of a run's metrics its model's."""
    return {name: value for name, value in metrics.items() if re.fullmatch(rf"{TEST}/\w+", name)}


def in_order(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    """NE first: what is logged first is what MLflow's pages compare runs by, and the first column of its models."""
    rank = {name: place for place, name in enumerate(COMPARED)}
    return sorted(metrics.items(), key=lambda one: rank.get(one[0].rpartition("/")[2], len(rank)))


def _called(result: str) -> str:
    if result.startswith(VALIDATION):
        return f"validation/final_{result.removeprefix(VALIDATION)}"
    return f"{'total' if result in TOTALS else TEST}/{result}"
