from dataclasses import replace

import pytest
from example_pages import DAYS, DEEPFM, EVIL, RETRAIN, STAGES
from html_reader import Reader

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.gate import decide
from pipeline.report.plots import plot_ne_by_seconds
from pipeline.report.retrain_page import FieldIds, Reference, RetrainPage, Rows, Stage, render
from pipeline.runtime.progress import Phase
from schemas.night import GateConfig

UNDRAWN = replace(RETRAIN, stages=tuple(replace(stage, curve=()) for stage in STAGES), sums={})
HEADINGS = [
    "What could not be trained",
    "The stages",
    "What pretraining bought",
    "What was trained on what",
    "Calibration, in 20 bins of equal rows",
    "NE on a sample of the held-out rows, as training went",
    "The gate",
    "Candidate against champion",
    "Slices of the held-out rows",
    "Where the time went",
    "The fields",
    "Versions",
]


def row_of(page: RetrainPage, first: str) -> list[str]:
    """The first one that begins so."""
    return next(row for row in Reader(render(page)).rows if row and row[0] == first)


@pytest.mark.slow
def test_the_whole_page_has_its_sections_in_order_under_what_became_of_the_best_stage():
    found = Reader(render(RETRAIN))
    assert found.text["h1"] == ["Promoted"]
    assert found.text["h2"] == HEADINGS
    assert found.text["title"] == ["clicks, retrain held out on 2026-11-30: promoted"]
    [header] = found.text["header"]
    assert "Version 8 (deepfm) is champion in place of version 7." in header
    assert "Rows of deepfm: fm has seen their labels." in header
    assert render(RETRAIN) == render(RETRAIN), "the same page gives the same bytes"


def test_stages_stand_side_by_side_with_intervals_where_there_are_some_and_what_could_be_reached_below():
    assert row_of(UNDRAWN, "Stage") == [
        *("Stage", "NE", "95% interval", "AUC", "Log loss", "Calibration", "Validation NE"),
    ]
    assert row_of(UNDRAWN, "fm") == ["fm", "0.8376", "–", "0.8052", "0.12800", "1.093", "–"]  # noqa: RUF001
    best = row_of(UNDRAWN, "deepfm · best")
    assert best == ["deepfm · best", "0.8323", "0.8200 to 0.8500", "0.8104", "0.12720", "0.998", "0.8100"]
    assert row_of(UNDRAWN, "deepfm-control · control of deepfm · failed")[1:] == ["–"] * 6  # noqa: RUF001
    assert row_of(UNDRAWN, "base rate")[1:3] == ["1.0021", "1.0000 to 1.0040"]
    assert row_of(UNDRAWN, "best possible")[1] == "0.7290"


def test_what_was_trained_on_what_says_days_rows_and_passes():
    rows = Reader(render(UNDRAWN)).rows
    fm, net, control = (row for row in rows if len(row) == 8 and row[0] in ("fm", "deepfm", "deepfm-control"))
    assert fm == ["fm", "FM", "random rows", DAYS, "1,300,000", "1", "4,096", "fused kernel, float32, 2 threads"]
    assert net[4:7] == ["150,000", "1.5", "256"]
    assert control[4:6] == ["–", "–"]  # noqa: RUF001
    assert Reader(render(UNDRAWN)).text["dd"][:2] == ["1,450,000", "29 days; 2.40% clicks"]


def test_a_stage_that_could_not_be_trained_is_named_with_its_reason_before_all_figures():
    found = Reader(render(UNDRAWN))
    assert found.text["li"][0] == "deepfm-control: it diverged"
    assert found.text["h2"][0] == "What could not be trained"


def test_where_the_time_went_has_the_parts_below_their_whole_and_what_belongs_to_none_of_them():
    rows = Reader(render(UNDRAWN)).rows
    heading = ["Phase", "", "From", "To", "Took", "Share", "Rows/s"]
    at = rows.index(heading) + 1
    assert rows[at : at + 5] == [
        ["Count values", "", "0.0 s", "3.8 s", "3.8 s", "29.2%", "381,579"],
        ["Fit", "", "4.0 s", "13.0 s", "9.0 s", "69.2%", ""],
        ["train fm", "", "11.5 s", "12.6 s", "1.1 s", "8.46%", "1,181,818"],
        ["between them", "", "", "", "0.2 s", "1.54%", ""],
        ["Together", "", "", "", "13.0 s", "", ""],
    ]


def test_one_stage_that_was_not_registered_has_no_gate_and_no_comparison():
    alone = RetrainPage("m", "d", "trained", "fm", "the best stage is fm", stages=(replace(STAGES[0], curve=()),))
    found = Reader(render(alone))
    assert found.text["h1"] == ["Trained"]
    assert found.text["h2"] == ["The stages", "What was trained on what"]


def test_without_a_champion_the_candidates_figures_are_those_of_its_stage():
    evidence = Evidence(DEEPFM)
    found = Reader(render(replace(UNDRAWN, evidence=evidence, verdict=decide(evidence, GateConfig()))))
    assert "The candidate" not in found.text["h2"]
    assert "The gate" in found.text["h2"]


def test_few_clicks_say_beside_the_stages_how_little_they_tell():
    few = replace(STAGES[1], metrics=replace(DEEPFM, positives=43.0), bounds={"auc": (0.7, 0.88)})
    assert "43 clicks tell AUC to +-0.09." in Reader(render(replace(UNDRAWN, stages=(few,)))).text["section"][0]


@pytest.mark.slow
def test_every_string_of_a_retrains_page_is_escaped():
    stage = Stage(EVIL, EVIL, EVIL, EVIL, 1, computed_by=EVIL, metrics=DEEPFM, curve=((0, 1),), control_of=EVIL)
    page = RetrainPage(
        *(EVIL, EVIL, "kept", EVIL, EVIL, EVIL, EVIL, (EVIL,)),
        stages=(stage, replace(stage, name="other", metrics=None, failure=EVIL)),
        references=(Reference(EVIL, {"ne": 0.5}),),
        splits=(Rows(EVIL, 1, 1, EVIL),),
        where=EVIL,
        lifts=(EVIL,),
        sums={EVIL: RETRAIN.sums["deepfm"]},
        fields=(FieldIds(EVIL, EVIL, EVIL, 1),),
        phases=(Phase(EVIL, 0.0, 1.0),),
        versions={EVIL: EVIL},
    )
    found = Reader(render(page))
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert [EVIL, EVIL, EVIL, "1"] in found.rows
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("src", "href")]


@pytest.mark.parametrize("count", [1, 2, 16])
def test_each_stages_curve_is_drawn_by_seconds_and_its_first_looks_set_no_scale(count: int):
    curve = [(float(i), 5.0 if i == 0 and count > 4 else 0.9 - i / 1000) for i in range(count)]
    axes = plot_ne_by_seconds({"fm": curve, "fnn": [(0.5, 0.95)]}).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [list(point) for point in curve]
    assert axes.get_ylim()[0] < min(ne for _, ne in curve)
    assert 0.95 < axes.get_ylim()[1] < 1.1
