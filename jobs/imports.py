"""`nightjar import`: files of other formats become days of a log."""

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jobs.imported import run, sources_of
from schemas.errors import Refusal
from schemas.locations import absolute

if TYPE_CHECKING:
    from pipeline.intake.formats.delimited import ColumnKind

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def import_() -> None:
    """Make a log, Parquet by day, of files of other formats.

    Files are read in a stream, `.gz`, `.bz2` and `.zst` as well. A day is there whole or not at all; the same import
    again changes nothing, and a killed one goes on.

    Example: `nightjar import criteo train.txt --rows-per-day 6500000 --first-day 2014-05-14 --out logs`
    """


Places = Annotated[list[str], typer.Argument(metavar="SRC", help="Files, or a folder of files. Any fsspec URI.")]
Out = Annotated[str, typer.Option(help="Folder or URI of the log, which gets `date=YYYY-MM-DD/` partitions.")]
RowsPerDay = Annotated[
    int | None, typer.Option(min=1, help="Rows of a day, of a file whose order is that of time.", show_default=False)
]
FirstDay = Annotated[
    datetime.datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="The day of the first row, or of `day_0`.", show_default=False),
]
MaxBadShare = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of lines that may break the format, which go to `quarantine/` in the log."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace days that the log has of other rows.")]


@app.command()
def criteo(
    src: Places,
    out: Out,
    rows_per_day: RowsPerDay = None,
    first_day: FirstDay = None,
    max_bad_share: MaxBadShare = 0.0,
    overwrite: Overwrite = False,
) -> None:
    """Criteo's click logs: tab-separated, a label, 13 numbers and 26 hex ids a line.

    Of `day_0`, `day_1`, ... each is a day; of another file, in the order of time, so many --rows-per-day are.

    Example: `nightjar import criteo train.txt --rows-per-day 6500000 --first-day 2014-05-14 --out logs`
    """
    sources = sources_of(src, out)
    from pipeline.intake.days import by_files
    from pipeline.intake.formats.criteo import Criteo
    from pipeline.intake.importing import Import

    by_line = by_files(sources, _date(first_day), rows_per_day)
    run(Import(Criteo(), sources, absolute(out), tuple(by_line), max_bad_share, overwrite))


@app.command("csv")
def csv_(
    src: Places,
    out: Out,
    timestamp: Annotated[
        str | None,
        typer.Option(
            help="Column that says the day: ISO 8601, or seconds or milliseconds since 1970.", show_default=False
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Where days begin at midnight, of times that are instants; else as the log has had it, or UTC.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Column of clicks, made 0 and 1: of yes and no, true and false, too.", show_default=False),
    ] = None,
    first_day: FirstDay = None,
    delimiter: Annotated[str, typer.Option(help="What parts the values; `tab` for tabs.")] = ",",
    quote: Annotated[
        str, typer.Option(help="What values are quoted by; `none` where quotes are parts of values.")
    ] = '"',
    null: Annotated[
        list[str] | None, typer.Option(help="Text of a missing value; may be given several times.", show_default=False)
    ] = None,
    encoding: Annotated[Literal["utf-8", "latin-1", "cp1252"], typer.Option(help="Of the files.")] = "utf-8",
    columns: Annotated[
        str, typer.Option(help="Names, as id,time,user, of files without a line of names.", show_default=False)
    ] = "",
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="COLUMN=text|integer|number",
            help="What a column holds, where its first rows tell it wrongly.",
            show_default=False,
        ),
    ] = None,
    max_bad_share: MaxBadShare = 0.0,
    overwrite: Overwrite = False,
) -> None:
    """CSV and the like: a line of names, then rows, which go to the day of a column of times.

    Without --timestamp each file is a day, which its name says, as `clicks-2026-11-19.csv` does, or --first-day.

    Example: `nightjar import csv clicks.csv --timestamp time --timezone Europe/Berlin --label clicked --out logs`
    """
    sources = sources_of(src, out)
    from pipeline.intake import records
    from pipeline.intake.days import by_files
    from pipeline.intake.formats import delimited_columns
    from pipeline.intake.formats.delimited import NULLS, Dialect
    from pipeline.intake.importing import Import

    names = tuple(columns.split(",")) if columns else ()
    dialect = Dialect(*_marks(delimiter, quote), tuple(null or NULLS), encoding, names)
    zone = timezone if timezone is not None else records.timezone_of(absolute(out)) or "UTC"
    form = delimited_columns.look(sources[0], dialect, _kinds(types or ()), label, timestamp, zone)
    by_line = () if timestamp else tuple(by_files(sources, _date(first_day), None))
    run(Import(form, sources, absolute(out), by_line, max_bad_share, overwrite))


@app.command()
def avazu(src: Places, out: Out, max_bad_share: MaxBadShare = 0.0, overwrite: Overwrite = False) -> None:
    """Avazu's log of mobile ads: CSV, of which `hour`, YYMMDDHH, becomes the day and a column of hours.

    Example: `nightjar import avazu train.gz --out logs`
    """
    sources = sources_of(src, out)
    from pipeline.intake.formats.avazu import Avazu
    from pipeline.intake.importing import Import

    run(Import(Avazu(), sources, absolute(out), (), max_bad_share, overwrite))


@app.command()
def libsvm(
    src: Places,
    out: Out,
    rows_per_day: RowsPerDay = None,
    first_day: FirstDay = None,
    max_bad_share: MaxBadShare = 0.0,
    overwrite: Overwrite = False,
) -> None:
    """libsvm's lines, `label index:value ...`, of values 0 and 1: the indices of a row become one list of ids.

    Days are those of `criteo`, or in the names of the files, as `clicks-2026-11-19.svm`.

    Example: `nightjar import libsvm clicks.svm --first-day 2026-11-01 --rows-per-day 100000 --out logs`
    """
    sources = sources_of(src, out)
    from pipeline.intake.days import by_files
    from pipeline.intake.formats.libsvm import LibSVM
    from pipeline.intake.importing import Import

    by_line = by_files(sources, _date(first_day), rows_per_day)
    run(Import(LibSVM(), sources, absolute(out), tuple(by_line), max_bad_share, overwrite))


@app.command()
def libffm(
    src: Places,
    out: Out,
    rows_per_day: RowsPerDay = None,
    first_day: FirstDay = None,
    fields: Annotated[
        int | None, typer.Option(min=1, help="How many there are, if the first rows lack some.", show_default=False)
    ] = None,
    lists: Annotated[bool, typer.Option("--lists", help="A row may have several ids of any field.")] = False,
    max_bad_share: MaxBadShare = 0.0,
    overwrite: Overwrite = False,
) -> None:
    """libffm's lines, `label field:index:value ...`: each field becomes a column, of ids, lists of ids or numbers.

    Days are those of `criteo`, or in the names of the files, as `clicks-2026-11-19.ffm`.

    Example: `nightjar import libffm clicks.ffm --first-day 2026-11-01 --rows-per-day 100000 --out logs`
    """
    sources = sources_of(src, out)
    from pipeline.intake.days import by_files
    from pipeline.intake.formats import libffm as libffm_files
    from pipeline.intake.importing import Import

    form = libffm_files.look(sources[0], fields, are_lists=lists)
    by_line = by_files(sources, _date(first_day), rows_per_day)
    run(Import(form, sources, absolute(out), tuple(by_line), max_bad_share, overwrite))


def _date(day: datetime.datetime | None) -> datetime.date | None:
    return day and day.date()


def _marks(delimiter: str, quote: str) -> tuple[str, str | None]:
    """What parts values, and what they are quoted by."""
    parts = _mark("--delimiter", {"tab": "\t"}.get(delimiter, delimiter))
    quotes = None if quote == "none" else _mark("--quote", quote)
    if parts == quotes:
        raise Refusal(
            found=f"{parts!r} for both",
            expected="one character that parts values, and another that quotes them",
            where="--delimiter, --quote",
            remedy="name another one, or --quote none where values are not quoted",
        )
    return parts, quotes


def _mark(option: str, value: str) -> str:
    if len(value) == 1 and value.isascii() and value not in "\r\n":
        return value
    raise Refusal(
        found=repr(value), expected="one character of ASCII", where=option, remedy="name the one that the files have"
    )


def _kinds(types: Sequence[str]) -> "dict[str, ColumnKind]":
    from pipeline.intake.formats.delimited import TYPES

    found: dict[str, ColumnKind] = {}
    for said in types:
        name, _, named = said.rpartition("=")
        kind = next((kind for kind in TYPES if kind == named), None)
        if not name or kind is None:
            raise Refusal(
                found=repr(said),
                expected=f"a column and what it holds: COLUMN={', COLUMN='.join(TYPES)}",
                where="--type",
                remedy="as --type zip=text",
            )
        found[name] = kind
    return found
