"""`nightjar`: retrain click-through-rate models. `python -m jobs` is the same.

The verbs import the library when they run: torch, Ray and MLflow take seconds, which help and a refused config save.
"""

import atexit
import gc
import platform
import signal
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from jobs import (
    backfill,
    bench,
    config,
    doctor,
    errors,
    evaluate,
    explain,
    export,
    generate,
    imports,
    init,
    nightly,
    plan,
    prune,
    rebuild,
    rollback,
    score,
    serve,
    status,
    submit,
    submitted,
    sweep,
    train,
    ui,
)
from jobs.console import folded
from schemas.errors import INTERRUPTED, TERMINATED, Refusal
from schemas.redaction import redacted_streams

# Libraries make some 400,000 objects that stay: looked at as often as by default, they cost a quarter of their imports.
NEW_OBJECTS_A_LOOK = 10_000
ENDED = {INTERRUPTED: "interrupted", TERMINATED: "told to stop"}


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"nightjar {version('nightjar')}, Python {platform.python_version()}")
        raise typer.Exit


app = typer.Typer(
    name="nightjar",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def nightjar(
    version_: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Retrain click-through-rate models: FM pretraining, FNN and DeepFM, on Ray, in MLflow."""


app.command("generate")(generate.generate)
app.add_typer(imports.app, name="import")
app.command("init")(init.init)
app.command("train")(train.train)
app.command("nightly")(nightly.nightly)
app.command("backfill")(backfill.backfill)
app.command("plan")(plan.plan)
app.command("status")(status.status)
app.command("rollback")(rollback.rollback)
app.command("prune")(prune.prune)
app.command("rebuild")(rebuild.rebuild)
app.command("sweep")(sweep.sweep)
app.command("evaluate")(evaluate.evaluate)
app.command("explain")(explain.explain)
app.command("score")(score.score)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("doctor")(doctor.doctor)
app.command("ui")(ui.ui)
app.command("submit", context_settings={"allow_interspersed_args": False})(submit.submit)
app.command("jobs")(submitted.jobs)
app.command("logs")(submitted.logs)
app.command("stop")(submitted.stop)
app.add_typer(config.app, name="config")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Exit 0 when the work is done, 1 when it failed, 2 when the input was refused before anything expensive began.

    3 when another process is at work on the same model, 4 when the day's data breaks its bounds, 130 after Ctrl-C, 143
    after SIGTERM. What ends in none of these is a bug, and shows its traceback. Nothing that is printed on the way
    holds a secret.
    """
    gc.set_threshold(NEW_OBJECTS_A_LOOK)
    atexit.register(gc.freeze)  # after all others: at its end the interpreter would look for garbage for a second
    with redacted_streams():
        _run()


def _run() -> None:
    # Typer would catch a KeyboardInterrupt and exit 1, as if the work had failed; SIGTERM, by which a scheduler stops
    # what it has begun, would end this process without a word, and its lease would have to expire.
    before = {
        one: signal.signal(one, lambda number, _: sys.exit(128 + number)) for one in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        app()
    except Exception as error:
        words = errors.in_words(error)
        if words is None:
            raise
        heading = "refused\n" if isinstance(error, Refusal) else ""
        print(folded(f"nightjar: {heading}{words}", indent=10, stderr=True), file=sys.stderr)
        sys.exit(errors.exit_code(error))
    except SystemExit as stopped:
        if stopped.code in ENDED:
            print(f"nightjar: {ENDED[stopped.code]}; the same command goes on from here", file=sys.stderr)
        raise
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


if __name__ == "__main__":
    main()
