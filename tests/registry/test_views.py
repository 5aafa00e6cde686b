import pytest

from pipeline.registry.views import NIGHTS, RETRAINS, STAGES, TRIALS, VIEWS, _as_of


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_views_of_clicks_are_as_they_are(view):
    assert _as_of("binary", view) is view


@pytest.mark.parametrize(("objective", "name"), [("multiclass", "accuracy"), ("regression", "rmse")])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_views_of_classes_and_numbers_ask_for_nothing_that_only_clicks_have(view, objective, name):
    state = _as_of(objective, view).state()
    asked = " ".join([*state["selectedColumns"], *(chart["metricKey"] for chart in state["compareRunCharts"])])
    assert "auc" not in asked
    assert "calibration" not in asked
    assert f"/{name}" in asked


def test_the_columns_of_trials_of_numbers_are_those_that_a_sweep_logs():
    columns = [*_as_of("regression", TRIALS).columns]
    assert columns[:2] == ["metrics.`validation/best_ne`", "metrics.`validation/rmse_at_best_ne`"]


def test_the_charts_of_classes_begin_with_ne_and_accuracy():
    (section,) = _as_of("multiclass", RETRAINS).state()["compareRunSections"]
    assert section["name"] == "NE and accuracy"
    assert [_as_of("multiclass", one).charts[-1] for one in (STAGES, NIGHTS)] == ["test/accuracy"] * 2
