from dataclasses import replace

import pytest

from pipeline.evaluation.bootstrap import Comparison, Interval
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.gate import decide
from pipeline.evaluation.row_sums import Metrics
from pipeline.report.page import Page, sentence, two_sentences
from schemas.night import GateConfig

GOOD = Metrics(50_000, 1_200.0, auc=0.75, auc_error=2e-4, ne=0.8123, calibration=1.02, base_rate=0.024)
CHANGE = Comparison(None, Interval(-0.0037, -0.0051, -0.0022), None)
BETTER = decide(Evidence(GOOD, replace(GOOD, ne=0.816), CHANGE), GateConfig())
FIRST = decide(Evidence(GOOD), GateConfig())
NIGHT = Page(model="clicks", date="2026-11-19", outcome="promoted", candidate="version 8", champion="version 7")


@pytest.mark.parametrize(
    ("page", "sentences"),
    [
        (
            replace(NIGHT, verdict=BETTER),
            "clicks, 2026-11-19: Promoted: version 8 is champion in place of version 7. NE 0.8123 is below the "
            "champion's 0.8160 on the same 50,000 rows: -0.0037 (-0.0051 to -0.0022).",
        ),
        (
            replace(NIGHT, champion="", verdict=FIRST),
            "clicks, 2026-11-19: Promoted: version 8 is champion, the first. NE 0.8123; there is no champion yet.",
        ),
        (
            replace(NIGHT, outcome="kept", why="it is worse"),
            "clicks, 2026-11-19: Kept: version 7 stays champion, and version 8 is rejected. It is worse.",
        ),
        (
            replace(NIGHT, outcome="kept", champion="", why="AUC 0.4 is not above 0.5"),
            "clicks, 2026-11-19: Nothing serves yet: version 8 is rejected. AUC 0.4 is not above 0.5.",
        ),
        (
            replace(NIGHT, outcome="stopped", why="No rows."),
            "clicks, 2026-11-19: Stopped: the night ended before a verdict; version 7 stays champion. No rows.",
        ),
        (
            replace(NIGHT, outcome="stopped", champion=""),
            "clicks, 2026-11-19: Stopped: the night ended before a verdict.",
        ),
    ],
)
def test_two_sentences_say_what_became_of_the_champion_and_why(page: Page, sentences: str):
    assert two_sentences(page) == sentences


def test_what_ended_a_night_goes_before_the_words_of_its_verdict():
    assert replace(NIGHT, verdict=BETTER, why="the lease was lost").reason == "the lease was lost"


def test_a_sentence_has_a_capital_and_one_full_stop():
    assert sentence("the day is empty") == sentence("The day is empty.") == "The day is empty."
