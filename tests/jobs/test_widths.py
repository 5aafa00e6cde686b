"""What a verb prints fits the terminal, whatever its width: nothing is cut, and no number is broken in two."""

import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest
from command import nightjar
from rich.console import Console
from rich.table import Table

from jobs import evaluate, explain, status, sweep, train
from jobs.console import ProgressView, result_console, tell
from jobs.tables import print_table
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.worth import FieldWorth, Worth
from pipeline.nights.history import history
from pipeline.nights.records import Night
from pipeline.retrain.summary import Summary
from pipeline.runtime.progress import Event
from pipeline.sweep import outcome as sweeps

FIGURES = {
    **{"training_rows": 1_300_000.0, "passes": 2.5, "rows_per_second": 1_209_472.25, "auc": 0.80524, "log_loss": 0.128},
    **{"ne": 0.83763, "calibration": 1.0931, "validation_ne": 0.83764},
}
VERDICT = "NE 0.8270 is below the champion's 0.8309 on the same 50,000 rows: -0.0038 (-0.0078 to -0.0001)"


def of_train() -> list[str]:
    stages = {name: FIGURES for name in ("fm", "fnn", "fnn-control", "deepfm", "deepfm-control")}
    known: dict[str, Any] = {"run_id": "r", "identity": "i", "tracking_uri": "t", "held_out_days": ("2026-11-30",)}
    known |= {"best_stage": "deepfm", "best_possible_ne": 0.729, "model_uri": "models:/ctr/1", "alias": "champion"}
    lift = "fnn: in 1.9 s, FM then FNN reach NE 0.8482; DNN alone 0.8522 in 1.7 s (-0.5%, -1.0% to +0.0%)"
    train.print_summary(Summary(**known, stages=stages, verdict=VERDICT, lifts=(lift,)), result_console())
    return ["1,300,000 x 2.5", "1,209,472", "0.8052", "0.1280", "0.8376", "1.093", "deepfm-control", "-0.0078"]


def of_evaluate() -> list[str]:
    rng = np.random.default_rng(0)
    judged = evaluate.Judged.of(Sums.of(rng.normal(-2, 1, 900), (rng.random(900) < 0.1).astype(np.int8)))
    figures = judged.metrics.as_dict()
    days = [date(2026, 11, day) for day in (29, 30)]
    evaluate.print_figures("models:/ctr@champion", dict.fromkeys(days, judged), judged, days[:1], result_console())
    return ["2026-11-29", "learned", "900", f"{figures['log_loss']:.4f}", f"{figures['ne']:.4f}"]


def of_status() -> list[str]:
    known: dict[str, Any] = {"day": date(2026, 11, 16), "key": "k", "outcome": "promoted", "verdict": VERDICT}
    known |= {"held_out_days": (date(2026, 11, 16),), "run_id": "r", "tracking_uri": "t", "start": "warm"}
    known |= {"champion_uri": "models:/clicks-of-the-shop/123", "rows_trained": 12_345_678, "passes": 2.0}
    known |= {"candidate": {"ne": 0.84031}, "champion": {"ne": 0.84271}, "seconds": {"train": 6000.0}}
    nights = history([Night(**known, unusual=("one",))] * 2, [], known["champion_uri"])
    status.print_nights(nights, result_console())
    return ["12,345,678 x 2", "0.8403", "0.8427", "100.0", "clicks-of-the-shop/123", "2026-11-16"]


def of_explain() -> list[str]:
    fields = (FieldWorth("advertiser_id", (0.01, 0.034), -0.002), FieldWorth("hour", (-0.0004, 0.0002), 0.12345))
    explain.print_worth("models:/ctr@champion", Worth(9_876, 0.83141, fields), result_console())
    return ["9,876", "0.8314", "advertiser_id", "+0.0220", "+0.0340", "-0.0020", "-0.0001", "+0.1235", "\u2588" * 24]


def of_sweep() -> list[str]:
    keys = ("embedding.learning_rate", "mlp.dropout", "mlp.hidden", "optimizer.learning_rate")
    values = {f"stages.deepfm.{key}": [300, 100] if key == "mlp.hidden" else 0.01659 for key in keys}
    trial = sweeps.Outcome(13, values, 8, (sweeps.Look(100, 0.80921, 0.82584),))
    known: dict[str, Any] = {"run_id": "r", "identity": "i", "tracking_uri": "t", "stage": "deepfm", "best_trial": 13}
    known |= {"best_ne": 0.80921, "at_bounds": {}}
    sweep.print_summary(sweeps.Summary(**known, outcomes=(trial,)), "best.yaml", result_console())
    return ["0.01659", "[300, 100]", "0.8092", "0.8258", "1 of 8"]


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize(
    "printed",
    [of_train, of_evaluate, of_explain, of_status, of_sweep],
    ids=["train", "evaluate", "explain", "status", "sweep"],
)
def test_a_table_that_is_too_wide_for_the_terminal_goes_on_below_and_no_number_is_cut(
    printed: Callable[[], list[str]], width, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", str(width))
    whole = printed()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "\u2026" in line]
    for text in whole:
        assert any(re.search(rf"(?<![\w.,]){re.escape(text)}(?![\w,]|\.\d)", line) for line in lines), text


@pytest.mark.parametrize("width", range(24, 140, 7))
def test_each_cell_of_any_table_stands_whole_in_one_line_where_the_first_column_leaves_it_room(width):
    table = Table(title="of a day")
    table.add_column("name")
    for number in range(9):
        table.add_column("a heading of words" if number % 2 else "n", justify="right")
    cells = [f"{10**number:,}" for number in range(1, 10)]
    table.add_row("fm", *cells)
    said = io.StringIO()
    print_table(Console(file=said, width=width), table)
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert [cell for line in lines for cell in line.split() if cell[0] == "1"] == cells
    assert sum("fm" in line for line in lines) == sum("name" in line for line in lines)


@pytest.mark.parametrize("width", [80, 200])
def test_a_note_beside_a_bar_breaks_between_words(width, monkeypatch, capsys):
    for name, value in {"COLUMNS": str(width), "FORCE_COLOR": "1", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    with ProgressView() as show:
        show(Event("train deepfm-control", 293, 293, "190,090 rows/s by torch in bfloat16"))
        show(Event("score with champion", 1, 1, VERDICT))
    said = capsys.readouterr().err
    assert not re.search(r"\x1b\[[0-9;]*3[0-8]", said), "NO_COLOR"
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).splitlines()
    assert max(map(len, lines)) <= width
    for text in ("190,090", "bfloat16", "0.8270", "50,000", "-0.0078", "293/293"):
        assert any(text in line for line in lines), text


def test_a_refusal_breaks_between_words_beside_what_it_says_each_of(tmp_path, monkeypatch):
    whole = nightjar("train", "--config", "nowhere.yaml", cwd=tmp_path).stderr
    monkeypatch.setenv("COLUMNS", "60")
    lines = nightjar("train", "--config", "nowhere.yaml", cwd=tmp_path).stderr.splitlines()
    assert max(map(len, lines)) <= 60
    assert [line.split()[0] for line in lines if line[0] != " "] == [
        "nightjar:",
        "found",
        "expected",
        "where",
        "remedy",
    ]
    assert " ".join(" ".join(lines).split()) == " ".join(whole.split())


def test_a_long_line_breaks_between_words_on_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    tell(f"{'night':<13} {VERDICT}", indent=14)
    assert capsys.readouterr().out == f"{'night':<13} {VERDICT}\n"
    monkeypatch.setenv("COLUMNS", "60")
    tell(f"{'night':<13} {VERDICT}", indent=14)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert all(line.startswith(" " * 14) for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == f"night {VERDICT}"
