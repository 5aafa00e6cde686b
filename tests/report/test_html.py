import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from html_reader import Reader

from pipeline.evaluation.bootstrap import Comparison, Interval
from pipeline.evaluation.evidence import Evidence, Slice
from pipeline.evaluation.gate import decide
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Metrics
from pipeline.evaluation.verdict import Reason, Verdict
from pipeline.report.html import ColumnProfile, DataProfile, Growth, Night, Page, render, two_sentences
from pipeline.runtime.progress import Phase
from schemas.night import GateConfig

REPOSITORY = Path(__file__).parents[2]
EVIL = "<script>alert('1')</script> & \"co\""

GOOD = Metrics(50_000, 1_200.0, auc=0.75, auc_error=2e-4, log_loss=0.1, ne=0.8123, calibration=1.02, base_rate=0.024)
CHAMPION = replace(GOOD, auc=0.74, log_loss=0.1005, ne=0.816, calibration=0.97)
CHANGE = Comparison(
    log_loss=Interval(-0.0005, -0.0007, -0.0002),
    ne=Interval(-0.0037, -0.0051, -0.0022),
    auc=Interval(0.01, -0.001, 0.02),
)
SLICES = (
    Slice("site", "news", 30_000, replace(GOOD, ne=0.7), replace(CHAMPION, ne=0.75), Interval(-0.05, -0.06, -0.04)),
    Slice("site", EVIL, 2_000, replace(GOOD, ne=0.9), replace(CHAMPION, ne=0.89), Interval(0.01, -0.02, 0.04)),
)
EVIDENCE = Evidence(GOOD, CHAMPION, CHANGE, SLICES, golden_difference=3e-8)
SUMS = Sums.of(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))
FULL = Page(
    model="clicks",
    date="2026-11-19",
    outcome="promoted",
    candidate="version 8",
    champion="version 7",
    notes=("The candidate then learned the day.",),
    verdict=decide(EVIDENCE, GateConfig(slices=("site",))),
    evidence=EVIDENCE,
    confidence=0.9,
    curves={"candidate": SUMS, "champion": SUMS},
    nights=(Night(date(2026, 11, 17), 0.82), Night(date(2026, 11, 18), None), Night(date(2026, 11, 19), 0.81, True)),
    profile=DataProfile(
        rows=1_203_412,
        label_rate=0.0241,
        bad_rows=37,
        trailing_rows=1_184_210.4,
        trailing_label_rate=0.0246,
        columns=(
            ColumnProfile("ad", 0.05, 48_211, 0.031, 0.31, ("PSI 0.31 is above 0.25",)),
            ColumnProfile("price"),
        ),
        breaches=("1,203,412 rows are 5.1 times the mean",),
    ),
    growth=(Growth("ad", 1_000, 25),),
    phases=(Phase("train", 0.0, 412.0, 8_240), Phase("judge", 412.0, 445.1)),
    versions={"nightjar": "0.1.0"},
)
TABLES = replace(FULL, curves={}, nights=())
BARE = Page(
    model="clicks", date="2026-11-19", outcome="stopped", why="the day has 3 rows; at least 1,000 were asked for"
)
HEADINGS = [
    "The gate",
    "Candidate against champion",
    "Calibration, in 20 bins of equal rows",
    "NE of each night's champion on the day that was new",
    "Slices of the held-out rows",
    "The new day's data",
    "Where the time went",
    "Vocabulary",
    "Versions",
]


def row_of(page: Page, first: str) -> list[str]:
    [row] = [row for row in Reader(render(page)).rows if row and row[0] == first]
    return row


def test_the_whole_page_has_its_sections_in_order_under_the_verdict():
    found = Reader(render(FULL))
    assert found.text["h1"] == ["Promoted"]
    assert found.text["h2"] == HEADINGS
    assert found.text["title"] == ["clicks, 2026-11-19: promoted"]
    [header] = found.text["header"]
    assert "Version 8 is champion in place of version 7." in header
    assert "NE 0.8123 is below the champion's 0.8160 on the same 50,000 rows: -0.0037 (-0.0051 to -0.0022)." in header
    assert "The candidate then learned the day." in header


def test_a_stopped_night_without_figures_has_its_reason_and_no_section():
    found = Reader(render(BARE))
    assert found.text["h1"] == ["Stopped"]
    assert "The day has 3 rows; at least 1,000 were asked for." in found.text["header"][0]
    assert not {"h2", "table", "svg", "section"} & set(found.tags)


@pytest.mark.parametrize(
    ("missing", "changes"),
    [
        (["The gate"], {"verdict": None}),
        (["Candidate against champion", "Slices of the held-out rows"], {"evidence": None}),
        (["Slices of the held-out rows"], {"evidence": replace(EVIDENCE, slices=())}),
        (["Calibration, in 20 bins of equal rows"], {"curves": {}}),
        (["NE of each night's champion on the day that was new"], {"nights": ()}),
        (["NE of each night's champion on the day that was new"], {"nights": (Night(date(2026, 11, 19), None),)}),
        (["The new day's data"], {"profile": None}),
        (["Vocabulary"], {"growth": ()}),
        (["Where the time went"], {"phases": ()}),
        (["Versions"], {"versions": {}}),
    ],
)
def test_a_section_without_data_is_left_out_and_the_others_stay(missing: list[str], changes: dict[str, object]):
    found = Reader(render(replace(FULL, **changes)))
    assert found.text["h2"] == [heading for heading in HEADINGS if heading not in missing]


def test_every_string_is_escaped():
    page = Page(
        model=EVIL,
        date=EVIL,
        outcome="kept",
        candidate=EVIL,
        champion=EVIL,
        why=EVIL,
        notes=(EVIL,),
        verdict=decide(replace(EVIDENCE, slices=SLICES[1:]), GateConfig()),
        evidence=EVIDENCE,
        curves={EVIL: SUMS},
        profile=DataProfile(10, columns=(ColumnProfile(EVIL, breaches=(EVIL,)),), breaches=(EVIL,)),
        growth=(Growth(EVIL, 1, 1),),
        phases=(Phase(EVIL, 0.0, 1.0),),
        versions={EVIL: EVIL},
    )
    found = Reader(render(page))
    assert "script" not in found.tags
    assert found.text["title"] == [f"{EVIL}, {EVIL}: kept"]
    assert ["site", EVIL] in [row[:2] for row in found.rows]
    assert [EVIL, EVIL] in found.rows  # versions
    assert any(EVIL in words for words in found.text["li"])


def test_the_page_needs_no_other_file_and_no_script():
    found = Reader(render(FULL))
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "href")
        assert name != "xlink:href" or (value or "").startswith("#")
    assert not re.search(r"url\((?!#)|@import", render(FULL).replace('url("#', "url(#"))


def test_the_same_page_gives_the_same_bytes():
    assert render(FULL) == render(FULL)


def test_each_rule_stands_with_its_outcome_and_those_that_failed_first():
    evidence = replace(EVIDENCE, candidate=replace(GOOD, calibration=2.0))
    verdict = decide(evidence, GateConfig())
    rows = Reader(render(replace(TABLES, outcome="kept", verdict=verdict, evidence=evidence))).rows
    assert rows[0] == ["", "Rule", "Found"]
    assert rows[1] == [
        "fail",
        "Calibration",
        "Calibration 2.0000 is outside 0.8 to 1.25 (night.gate.calibration: [0.8, 1.25]).",
    ]
    assert [row[0] for row in rows[2:11]] == ["pass"] * 9
    assert ["pass", "Rows", "50,000 held-out rows, at least 1,000 (night.gate.min_rows: 1000)."] in rows


def test_a_rule_that_the_gate_does_not_know_stands_under_its_own_name():
    verdict = Verdict(False, (Reason("something to learn", False, "no day is new"),))
    rows = Reader(render(replace(TABLES, outcome="kept", verdict=verdict))).rows
    assert rows[1] == ["fail", "Something to learn", "No day is new."]


def test_the_comparison_holds_both_models_their_change_and_what_it_says():
    assert row_of(TABLES, "NE") == ["NE", "0.8123", "0.8160", "-0.0037", "-0.0051 to -0.0022", "clearly better"]
    assert row_of(TABLES, "AUC") == ["AUC", "0.7500", "0.7400", "+0.0100", "-0.0010 to +0.0200", "no clear difference"]
    assert row_of(TABLES, "Log loss (nats a row)")[1:4] == ["0.10000", "0.10050", "-0.00050"]
    assert row_of(TABLES, "Calibration (p over clicks)")[1:] == ["1.020", "0.970", "+0.050", "–", "nearer to 1"]  # noqa: RUF001
    assert "90% interval" in Reader(render(TABLES)).text["th"]


def test_a_clearly_lower_auc_is_worse_and_a_clearly_higher_log_loss_too():
    change = Comparison(Interval(0.001, 0.0005, 0.002), None, Interval(-0.02, -0.03, -0.01))
    page = replace(TABLES, evidence=replace(EVIDENCE, change=change))
    assert row_of(page, "AUC")[-1] == row_of(page, "Log loss (nats a row)")[-1] == "clearly worse"
    assert row_of(page, "NE")[3:] == ["–", "–", ""]  # noqa: RUF001


def test_a_first_candidate_stands_alone():
    alone = tuple(replace(part, champion=None, change=None) for part in SLICES)
    evidence = Evidence(GOOD, slices=alone)
    page = replace(TABLES, champion="", evidence=evidence, verdict=decide(evidence, GateConfig()))
    assert row_of(page, "NE") == ["NE", "0.8123"]
    assert "The candidate" in Reader(render(page)).text["h2"]
    assert ["site", "news", "30,000", "0.7000"] in Reader(render(page)).rows


def test_slices_stand_with_rows_change_and_interval():
    rows = Reader(render(TABLES)).rows
    assert ["site", "news", "30,000", "0.7000", "0.7500", "-0.0500", "-0.0600 to -0.0400", ""] in rows
    assert ["site", EVIL, "2,000", "0.9000", "0.8900", "+0.0100", "-0.0200 to +0.0400", ""] in rows


def test_the_data_stand_beside_the_days_before_and_breaches_are_marked():
    page = replace(TABLES, growth=())
    found = Reader(render(page))
    assert found.text["dd"] == [
        *("1,203,412", "1,184,210 a day before"),
        *("2.41%", "2.46% before"),
        *("37", "0.003% of the rows"),
    ]
    assert found.text["li"] == ["1,203,412 rows are 5.1 times the mean."]
    assert row_of(page, "ad") == ["ad", "5.00%", "48,211", "3.10%", "0.310", "PSI 0.31 is above 0.25"]
    assert row_of(page, "price") == ["price", *"––––", ""]  # noqa: RUF001
    assert '<strong class="bad">ad</strong>' in render(page)


def test_what_is_unusual_is_told_apart_from_what_is_broken():
    column = ColumnProfile("ad", breaches=("nulls: all of them",), unusual=("values: PSI 0.9",))
    page = replace(TABLES, profile=DataProfile(10, columns=(column,), unusual=("rows: 5",)), growth=())
    assert Reader(render(page)).text["li"] == ["Unusual: rows: 5."]
    assert row_of(page, "ad")[-1] == "nulls: all of them; unusual: values: PSI 0.9"
    only = replace(TABLES, profile=DataProfile(10, columns=(replace(column, breaches=()),)), growth=())
    assert row_of(only, "ad")[-1] == "unusual: values: PSI 0.9"
    assert '<strong class="bad">ad</strong>' not in render(only)


def test_vocabulary_timings_and_versions_stand_in_words():
    page = replace(TABLES, profile=None)
    assert row_of(page, "ad") == ["ad", "1,000", "+25", "+2.50%"]
    assert row_of(page, "Train") == ["Train", "", "0.0 s", "6 min 52 s", "6 min 52 s", "92.6%", "20"]
    assert row_of(page, "Judge") == ["Judge", "", "6 min 52 s", "7 min 25 s", "33.1 s", "7.44%", ""]
    assert row_of(page, "Together") == ["Together", "", "", "", "7 min 25 s", "", ""]
    assert row_of(page, "Nightjar") == ["Nightjar", "0.1.0"]


def test_a_day_within_its_bounds_has_no_column_for_what_is_out_of_them():
    price = FULL.profile.columns[1]
    found = Reader(render(replace(TABLES, profile=replace(FULL.profile, columns=(price,)), growth=())))
    assert "Out of bounds" not in found.text["th"]
    assert ["price", *"––––"] in found.rows  # noqa: RUF001
    assert "Out of bounds" in Reader(render(replace(TABLES, profile=FULL.profile))).text["th"]


def test_rows_of_one_class_and_an_empty_day_still_make_a_page():
    metrics = Sums.of(np.zeros(4), np.zeros(4)).metrics()
    evidence = Evidence(metrics, metrics, Comparison(None, None, None))
    page = replace(TABLES, outcome="kept", evidence=evidence, verdict=decide(evidence, GateConfig()))
    page = replace(
        page, curves={"candidate": Sums.zero()}, profile=DataProfile(0), phases=(Phase("nothing", 0.0, 0.0),)
    )
    assert row_of(page, "NE") == ["NE", *"––––", ""]  # noqa: RUF001
    assert "one class only" in two_sentences(page)


def test_gate_and_page_need_no_torch_no_ray_no_mlflow_and_no_matplotlib_until_something_is_drawn():
    code = (
        "import sys; from pipeline.evaluation import gate, slices; "
        "from pipeline.report.html import Page, render; render(Page('m', 'd', 'stopped')); "
        "print({'torch', 'ray', 'mlflow', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_served_stands_with_what_moved_it_and_a_pools_data_with_its_days():
    history = (("2026-11-19", "kept", "ctr/1"), ("2026-11-18 09:00", "rollback by ann, from ctr/2", "ctr/1"))
    page = replace(TABLES, history=history, profile=replace(FULL.profile, num_days=7))
    found = Reader(render(page))
    assert list(history[1]) in [list(row) for row in found.rows]
    assert "What served" in found.text["h2"]
    assert "The data of the 7 new days" in found.text["h2"]
    assert any("in 7 days before" in words for words in found.text["dd"])
