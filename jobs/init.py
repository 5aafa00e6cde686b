"""`nightjar init`: a look at a log, and the two files that train on it."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import result_console, tell
from jobs.places import program, typed
from jobs.tables import print_table
from schemas.errors import Refusal
from schemas.features import Objective
from schemas.locations import absolute
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.intake.look import Looked
    from pipeline.intake.proposed import Proposed, Told
    from pipeline.intake.roles import Guess

VERB = "init"
NONE = "none"  # at a prompt


def init(
    logs: Annotated[str, typer.Argument(help="Folder of a log, or one of its files: Parquet or CSV, a path or a URI.")],
    out: Annotated[Path, typer.Option("--out", help="The config to write; the feature spec is written beside it.")],
    label: Annotated[str | None, typer.Option("--label", help="Column of clicks, 0 and 1; else it is guessed.")] = None,
    objective: Annotated[
        Objective | None, typer.Option("--objective", help="What the label is of; else by what it holds.")
    ] = None,
    row_key: Annotated[
        str | None, typer.Option("--row-key", help="Column that names a row; else it is guessed.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Column of whom a row is about; else it is guessed.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="Column that is no feature. May be given several times.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="Where days begin at midnight; else as an import has had it, or UTC."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take all guesses; without a terminal that is done anyway.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Look at a log and write a feature spec and a config that train as they stand.

    Every column is looked at in up to 200,000 rows from all over the log: each entry of the spec has beside it what was
    seen and why it is proposed so. Look both files over: what is known only after the click is for you to say.

    Example: `nightjar init data/demo/logs --out my.yaml`
    """
    from pipeline.intake import draft, look
    from pipeline.intake.proposed import Told
    from pipeline.runtime import files

    _require_place(out, force)
    looked = look.look(absolute(logs), timezone)
    told = Told(label, objective, row_key, group, tuple(ignore or ()))
    proposed = looked.proposed(told)
    _print_columns(proposed, looked, result_console())
    if not yes and is_terminal():
        proposed = looked.proposed(_asked(proposed, told))
    written = draft.write_up(looked, draft.described(looked, proposed, VERB), out.absolute(), VERB)
    files.write_bytes(str(draft.features_path(out.absolute())), written.features.encode())
    files.write_bytes(str(out.absolute()), written.config.encode())
    _print_result(proposed, written.held_out, out)
    _print_next(looked, proposed, logs, out)


def is_terminal() -> bool:
    """Whether there is a person who could answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _require_place(out: Path, force: bool) -> None:
    """Raise Refusal for files that are there, and a name that no config has."""
    from pipeline.intake.draft import features_path
    from pipeline.runtime import writable

    if out.suffix not in (".yaml", ".yml") or not out.name.isprintable():
        raise Refusal(
            found=f"{out.name!r}, as the config to write",
            expected="a name that is printed as it is and ends in .yaml",
            where="--out",
            remedy="for example --out my.yaml",
        )
    for path in (out, features_path(out)):
        writable.require(str(path.absolute()), "--out", "file")
    there = [path for path in (out, features_path(out)) if path.exists()]
    if there and not force:
        raise Refusal(
            found=f"{' and '.join(map(str, there))}, which would be replaced",
            expected="a name that no file has",
            where="--out",
            remedy="choose another name, or give --force to replace it",
        )


def _print_columns(proposed: "Proposed", looked: "Looked", console: Console) -> None:
    """Each column in its role, in the order of the log."""
    from pipeline.intake.spec_text import type_in_words

    table = Table(title=f"Looked at {looked.sample.in_words}", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("column", "type", "values", "nulls", "proposed as", "since"):
        table.add_column(heading, justify="right" if heading in ("values", "nulls") else "left")
    for name, column in proposed.columns.items():
        values = f"{column.num_distinct:,}" if column.is_readable else ""
        role, why = _role(proposed, name)
        table.add_row(name, type_in_words(column.kind), values, f"{column.null_share:.1%}", role, redacted(why))
    print_table(console, table)


def _role(proposed: "Proposed", name: str) -> tuple[str, str]:
    """What the column is, and why."""
    guesses = {"label": proposed.label, "row key": proposed.row_key, "group": proposed.group}
    roles = {role: guess.reason for role, guess in guesses.items() if guess and guess.name == name}
    if name in proposed.ignored:
        return "ignored", proposed.ignored[name]
    if name in proposed.fields:
        entry = proposed.fields[name].entry or {}
        encoder = entry.get("encoder", {}).get("type", "")
        return ", ".join([*roles, f"{entry['kind']} {encoder}".strip()]), proposed.fields[name].reason
    return ", ".join(roles), "; ".join(roles.values())


def _asked(proposed: "Proposed", told: "Told") -> "Told":
    """What the person at the terminal makes of the guesses; an empty answer takes them."""
    from pipeline.intake.proposed import Told

    def ask(question: str, guess: "Guess | None") -> str:
        answer = str(typer.prompt(question, default=guess.name if guess else NONE)).strip()
        return "" if answer == NONE else answer

    label = typer.prompt("label", default=proposed.label.name)
    return Told(
        label=label,
        objective=told.objective,
        row_key=ask("row key, a column or none", proposed.row_key),
        group=ask("group, a column or none", proposed.group),
        ignored=told.ignored,
    )


def _print_result(proposed: "Proposed", held_out: str, out: Path) -> None:
    from pipeline.intake.draft import features_path

    tell(f"{held_out[0].upper()}{held_out[1:]}.")
    if proposed.question:
        tell(proposed.question)
    tell(f"{typed(str(out))} and {typed(str(features_path(out)))} are written: look them over.")


def _print_next(looked: "Looked", proposed: "Proposed", logs: str, out: Path) -> None:
    from pipeline.intake.draft import imported_logs

    print("\nNext:\n")
    if looked.is_csv:
        by = ["--timestamp", looked.time_column] if looked.time_column else ["--first-day", "YYYY-MM-DD"]
        by += ["--timezone", looked.timezone] if looked.time_column and looked.timezone != "UTC" else []
        by += ["--label", proposed.label.name] if proposed.label.objective == "binary" else []
        by += ["--delimiter", looked.delimiter] if looked.delimiter != "," else []
        imported = typed(str(imported_logs(out)))
        tell(f"  {program()} import csv {typed(logs)} --out {imported} {shlex.join(by)}")
    tell(f"  {program()} config check {typed(str(out))}")
    tell(f"  {program()} train --config {typed(str(out))}")
