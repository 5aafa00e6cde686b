from dataclasses import replace

import pytest
from example_pages import AXES, EVIL, NET_RATE, ROW_RATE, SWEEP
from html_reader import Reader

from pipeline.report.sweep_page import Key, Neighbour, SweepPage, Trial, render
from pipeline.runtime.progress import Phase


def test_a_sweeps_page_begins_with_the_best_trial_its_interval_its_spread_and_a_warning_of_bounds():
    found = Reader(render(SWEEP))
    assert found.text["h1"] == ["Trial 2"]
    [header] = found.text["header"]
    assert (
        "NE 0.9664 on the validation rows, the best of 4 trials; 95% interval 0.9500 to 0.9800; the mean of 3 seeds, "
        "with a deviation of 0.0011." in header
    )
    assert f"The best {ROW_RATE} lies at the bound 0.3 of what was drawn: draw beyond it as well." in header
    assert found.text["h2"] == [
        "The best values",
        "Its neighbours",
        "All trials",
        "What failed",
        "Where the time went",
        "Versions",
    ]
    assert render(SWEEP) == render(SWEEP), "the same page gives the same bytes"


def test_all_keys_stand_in_full_and_the_trials_best_first():
    rows = Reader(render(SWEEP)).rows
    assert [ROW_RATE, "0.29", "0.005 to 0.3, by its logarithm", "at the bound 0.3"] in rows
    assert ["Trial", ROW_RATE, NET_RATE, "Looks", "Seeds", "NE", "AUC"] in rows
    assert [row[0] for row in rows if len(row) == 7][1:] == ["2", "1", "3", "4"]
    assert ["2", "0.29", "0.01", "8 of 8", "3", "0.9664 ± 0.0011", "0.6344 ± 0.0020"] in rows
    assert ["4", "0.3", "0.003", "none", "0", "–", "–"] in rows  # noqa: RUF001


def test_a_neighbour_is_clearly_worse_or_not_and_one_without_logits_is_not_compared():
    rows = Reader(render(SWEEP)).rows
    at = next(number for number, row in enumerate(rows) if row[1:2] == ["Near in"])
    assert rows[at][2:4] == ["embedding.learning_rate", "optimizer.learning_rate"]
    clear, stopped = rows[at + 1 : at + 3]
    assert clear == [
        *("1", "NE and settings", "0.1", "0.02", "0.9701", "+0.0037", "+0.0011 to +0.0063", "clearly worse"),
    ]
    assert (stopped[0], stopped[-1]) == ("3", "not compared")


def test_every_string_of_a_sweeps_page_is_escaped():
    page = SweepPage(
        stage=EVIL,
        best=1,
        keys=(Key(EVIL, EVIL, 1.0),),
        trials=(Trial(1, (EVIL,), EVIL, ne=0.5), Trial(2, (EVIL,), EVIL, failure=EVIL)),
        neighbours=(Neighbour(2, EVIL),),
        notes=(EVIL,),
        phases=(Phase(EVIL, 0.0, 1.0),),
        versions={EVIL: EVIL},
    )
    found = Reader(render(page))
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert [EVIL, EVIL] in found.rows


@pytest.mark.slow
def test_the_trials_that_came_to_a_look_are_drawn_with_the_best_one_among_them():
    found = Reader(render(replace(SWEEP, axes=AXES)))
    assert "Trials as parallel coordinates" in found.text["h2"]
    assert {"embedding.learning_rate", "dropout", "NE"} <= {words.strip() for words in found.text["text"]}
