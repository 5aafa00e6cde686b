import io

import numpy as np
import pytest
from html_reader import Reader
from scored_rows import of_classes, of_numbers

from pipeline.evaluation.class_sums import MAX_CONFUSED, ClassSums
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.number_sums import NumberSums
from pipeline.report.markup import joined
from pipeline.report.outcomes import MOST_COUNTED, drawn, figures, plot_confusion, plot_told

CLICKS = Sums.of(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))
CLASSES = ClassSums.of(*of_classes(200, seed=1))
NUMBERS = NumberSums.of(*of_numbers(200, seed=1))
NAMES = ("cat", "dog", "<script>")


@pytest.mark.parametrize(
    ("sums", "classes", "names"),
    [
        (CLICKS, (), ["roc", "calibration", "precision_recall"]),
        (CLASSES, NAMES, ["confusion"]),
        (NUMBERS, (), ["told"]),
    ],
    ids=["clicks", "classes", "numbers"],
)
def test_each_objective_has_the_figures_that_it_defines(sums, classes, names):
    assert list(figures({"fm": sums, "dnn": sums}, "dnn", classes)) == names


@pytest.mark.parametrize(
    ("sums", "classes", "heading"),
    [
        (CLICKS, (), "Calibration, in 20 bins of equal rows"),
        (CLASSES, NAMES, "Which class was taken for which, fm"),
        (NUMBERS, (), "Told and actual numbers, in 20 bins of equal rows"),
    ],
    ids=["clicks", "classes", "numbers"],
)
def test_a_page_draws_the_one_that_tells_most(sums, classes, heading):
    (section,) = drawn({"fm": sums}, "fm", classes)
    assert heading in Reader(section).text["section"][0]


def test_a_class_called_like_html_is_text():
    (section,) = drawn({"fm": CLASSES}, "fm", NAMES)
    assert "<script>" not in section
    assert "&lt;script&gt;" in section


def test_more_classes_than_are_confused_in_a_table_are_not_drawn():
    many = ClassSums.of(np.zeros((2, MAX_CONFUSED + 1)), np.array([0, MAX_CONFUSED]))
    names = tuple(map(str, range(MAX_CONFUSED + 1)))
    assert (figures({"fm": many}, "fm", names), joined([*drawn({"fm": many}, "fm", names)])) == ({}, "")


def test_nothing_is_drawn_where_nothing_was_trained():
    assert (figures({}, "", ()), [*drawn({}, "", ())]) == ({}, [])


def test_a_row_of_the_confusion_is_the_share_of_a_class_told_to_be_of_each():
    # Of class a: one of two told to be a. Of class b: the only one. Of class c there is no row.
    logits = np.log([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]])
    figure = plot_confusion(ClassSums.of(logits, np.array([0, 0, 1])), ("a", "b", "c"))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["50", "50", "100"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a (2)", "b (1)", "c (0)"]


def test_of_many_classes_the_shade_alone_tells():
    names = tuple(map(str, range(MOST_COUNTED + 1)))
    figure = plot_confusion(ClassSums.of(np.zeros((1, len(names))), np.array([3])), names)
    assert not figure.axes[0].texts


def test_numbers_told_are_drawn_against_labels_beside_the_diagonal():
    numbers = np.arange(40.0)
    figure = plot_told({"fm": NumberSums.of(numbers + 1, numbers)})
    curve, diagonal = figure.axes[0].lines
    assert (curve.get_xdata() - curve.get_ydata()).tolist() == [1.0] * 20
    assert curve.get_label() == "fm: RMSE 1"
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())


def test_a_class_is_drawn_by_its_name_as_it_is_and_a_long_one_is_cut():
    figure = plot_confusion(CLASSES, ("$10", "$20 to $30", "n" * 40))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["$10", "$20 to $30", "n" * 21 + "..."]
    assert not any(label.get_parse_math() for label in figure.axes[0].get_yticklabels())
    figure.savefig(io.BytesIO())
