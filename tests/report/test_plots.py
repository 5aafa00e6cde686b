import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.evaluation.metrics import Sums
from pipeline.report.plots import plot_calibration, plot_precision_recall, plot_roc, plot_waterfall
from pipeline.runtime.progress import Phase

REPOSITORY = Path(__file__).parents[2]
# Four rows with AUC 3/4 and average precision (1 + 2/3) / 2, as in test_metrics; p = 1/2 for two more.
GOOD = Sums.of(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))
BLIND = Sums.of(np.array([0.0, 0.0]), np.array([0, 1]))
NO_CLICKS = Sums.of(np.array([-3.0, -4.0]), np.array([0, 0]))


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def curve_of(figure, name: str) -> list[tuple[float, float]]:
    [line] = [line for line in figure.axes[0].lines if line.get_label().startswith(name)]
    return [tuple(point) for point in line.get_xydata().tolist()]


def test_roc_shows_each_model_with_its_auc():
    figure = plot_roc({"fm": GOOD, "blind": BLIND})
    assert legend_of(figure) == ["fm: AUC 0.7500", "blind: AUC 0.5000", "guessing: AUC 0.5"]
    assert curve_of(figure, "fm") == [(0, 0), (0, 50), (50, 50), (50, 100), (100, 100)]
    assert curve_of(figure, "blind") == [(0, 0), (100, 100)]


def test_precision_recall_shows_average_precision_and_the_base_rate_once():
    figure = plot_precision_recall({"fm": GOOD, "blind": BLIND})
    assert legend_of(figure) == ["fm: AP 0.8333", "blind: AP 0.5000", "base rate: 50%"]
    assert curve_of(figure, "base rate") == [(0, 50), (1, 50)]  # x is a share of the axis' width


def test_calibration_is_linear_where_clicks_are_common():
    figure = plot_calibration({"blind": BLIND})
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "linear"
    assert curve_of(figure, "blind") == [(50, 50)]
    assert legend_of(figure)[0] == "blind: calibration 1.000, ECE 0"


def test_calibration_is_logarithmic_where_clicks_are_rare_and_keeps_bins_without_clicks():
    logits, labels = np.repeat([-8.0, -4.0, -3.0], 20), np.arange(60) == 59  # one click, among the highest
    figure = plot_calibration({"fm": Sums.of(logits, labels)})
    axes = figure.axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert len(curve_of(figure, "fm")) == 1
    [without_clicks] = [line for line in axes.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert without_clicks.get_xdata() == pytest.approx(100 / (1 + np.exp([8, 4])))
    assert "bin without clicks" in legend_of(figure)


@pytest.mark.parametrize("plot", [plot_roc, plot_precision_recall, plot_calibration])
@pytest.mark.parametrize("sums", [GOOD, NO_CLICKS, Sums.zero()], ids=["good", "no clicks", "no rows"])
def test_every_plot_renders_with_labelled_axes_in_percent(plot, sums, tmp_path):
    figure = plot({"fm": GOOD, "other": sums})
    axes = figure.axes[0]
    assert "%" in axes.get_xlabel()
    assert "%" in axes.get_ylabel()
    figure.savefig(tmp_path / "plot.png", dpi=40)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_undefined_is_said_so_in_the_legend():
    assert legend_of(plot_roc({"fm": NO_CLICKS}))[0] == "fm: AUC undefined"
    assert legend_of(plot_precision_recall({"fm": Sums.zero()})) == ["fm: AP undefined"]


def test_importing_the_plots_does_not_import_matplotlib():
    program = "import sys, pipeline.report.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0


def test_no_figure_is_left_with_pyplot():
    plot_roc({"fm": GOOD})
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_a_waterfall_has_a_bar_from_when_to_when_for_each_phase_with_its_rate_where_there_is_room():
    phases = [Phase("count values", 0.0, 3.0, 600), Phase("fit", 4.0, 10.0), Phase("begin", 4.0, 4.01, depth=1)]
    axes = plot_waterfall([*phases, Phase("steps", 5.0, 10.0, 100, depth=1)], "4 rows").axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0.0, 3.0), (4.0, 6.0), (5.0, 5.0)]
    assert [label.get_text().strip() for label in axes.get_yticklabels()] == ["count values", "fit", "steps"]
    told = {text.get_text().strip(): text.get_horizontalalignment() for text in axes.texts}
    assert told == {"3.0 s, 200 rows/s": "left", "6.0 s": "right", "5.0 s, 20 rows/s": "right"}
