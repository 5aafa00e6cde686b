"""Whatever stands on the command line: a documented exit code and words, never a traceback."""

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from click_logs import SPEC, click_rows, write_day
from command import nightjar
from examples import several
from hypothesis import given
from hypothesis import strategies as st

from jobs.__main__ import app

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own

SNAGS = [
    *[
        "",
        "-",
        "--",
        "--config",
        "-1",
        "0",
        "1",
        "2",
        "1e999",
        "nan",
        "²",
        "9" * 30,
        "a\0b",
        "\ud800",
        "é",
        "*",
        "'",
        '"',
    ],
    *["2026-11-01", "2026-11-03", "2026-02-30", "20261101", "0001-01-01", "9999-12-31", "auto", "today", "2026-11-1"],
    *[
        "train.yaml",
        "broken.yaml",
        "features.yaml",
        "nowhere.yaml",
        ".",
        "..",
        "/",
        "/dev/null",
        "logs",
        "out",
        "~",
        "~nobody",
    ],
    *[
        "s3://",
        "s3://b",
        "foo://x",
        "gs://b/x",
        "http://127.0.0.1:9",
        "data:,x",
        "file:",
        "file:///",
        "memory://x",
        "://",
    ],
    *[
        "models:/ctr@champion",
        "models:/ctr/1",
        "models:/",
        "models:/it's@x",
        "models:/%00",
        "runs:/",
        "runs:/a/b",
        "m-1",
    ],
    *[
        "seed=1",
        "a.b=c",
        "=",
        "stages.fm.epochs=0",
        "data.logs_uri=s3://",
        "mlflow.tracking_uri=foo://x",
        "work_uri=foo://",
    ],
    *["mlflow.registered_model=it's", "mlflow.tracking_uri=sqlite://", "data.split.test_dates=[2026-11-03]", "night=1"],
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
# `ui` becomes MLflow's server, `bench` measures for seconds; what a verb does when all is right, other tests show.
VERBS = {name: command for name, command in COMMANDS.items() if name not in ("ui", "bench", "config", "import")}
VERBS |= {f"{of} {name}": command for of in ("config", "import") for name, command in COMMANDS[of].commands.items()}
FITTING = {"config": "train.yaml", "model": "models:/ctr@champion", "out": "out", "dates": "2026-11-03", "work": "work"}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    verb = draw(st.sampled_from(sorted(VERBS)))
    words = verb.split()
    for parameter in VERBS[verb].params:
        if draw(st.integers(0, 3)) or parameter.required:
            words += draw(_given(parameter))
    words += draw(st.lists(st.sampled_from(SNAGS), max_size=1) | st.just([]))
    return draw(st.permutations(words)) if draw(st.integers(0, 9)) == 0 else words


def _given(parameter: click.Parameter) -> st.SearchStrategy[list[str]]:
    """The parameter as it is meant, or with what it is not."""
    values = st.sampled_from(SNAGS) | st.text(max_size=5)
    fitting = FITTING.get(str(parameter.name))
    if fitting:
        values = st.just(fitting) | st.just(fitting) | values
    if isinstance(parameter, click.Argument):
        return values.map(lambda value: [value])
    name = parameter.opts[0]
    if getattr(parameter, "is_flag", False):
        return st.just([name])
    return values.map(lambda value: [name, value]) | values.map(lambda value: [f"{name}={value}"])


def write_folder(folder: Path) -> None:
    """A config and a log whose last file is cut short, so that no command gets as far as training."""
    for day in (1, 2, 3):
        path = write_day(folder / "logs", date(2026, 11, day), click_rows(8 * day))
    path.write_bytes(path.read_bytes()[:-9])
    config: dict[str, Any] = {
        "data": {"logs_uri": "logs", "features": "features.yaml"},
        "work_uri": "work",
        "stages": [{"name": "fm", "model": "fm", "batch_size": 4}],
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(config))
    (folder / "features.yaml").write_text(yaml.safe_dump(SPEC))
    (folder / "broken.yaml").write_text("a: [")


@several()
@given(command_lines())
def test_any_command_line(words):
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name))
        done = nightjar(*words, cwd=Path(name))
    assert done.exit_code in {0, 1, 2, 3, 4}, words
    assert "Traceback" not in done.stdout + done.stderr, words
    assert done.exit_code == 0 or done.stderr, words
