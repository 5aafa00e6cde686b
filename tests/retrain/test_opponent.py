from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from bundles import write_random_bundle
from click_logs import click_rows

from pipeline.data.target import Target
from pipeline.registry.bundle import Bundle
from pipeline.registry.versions import Version
from pipeline.retrain.opponent import Opponent

CHAMPION = Version("x", "3", None, {}, datetime.now(UTC))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    rows = click_rows()
    labels = pa.array(["a", "b", "c", "a", "b", "c", "a", "b"])
    return write_random_bundle(
        tmp_path, rows.set_column(rows.column_names.index("click"), "click", labels), objective="multiclass"
    )


def of_classes(bundle: Bundle, *classes: str) -> Bundle:
    return replace(bundle, vocabulary=replace(bundle.vocabulary, target=Target("multiclass", classes)))


def test_models_of_the_same_classes_are_compared(bundle):
    assert Opponent(CHAMPION, bundle).differs_from(bundle) == ""
    assert Opponent().differs_from(bundle) == "", "there is no champion"


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("a", "b", "c", "d"), "it knows 'd'"),
        (("a", "b"), "it lacks 'c'"),
        (("a", "b", "z"), "it lacks 'c' and knows 'z'"),
    ],
)
def test_a_champion_of_other_classes_is_not_compared_and_both_sides_are_told(bundle, classes, words):
    why = Opponent(CHAMPION, of_classes(bundle, *classes)).differs_from(bundle)
    assert why.startswith(f"models:/x/3 tells other classes apart than the candidate: {words}; ")
    assert why.endswith("another mlflow.registered_model begins anew")
