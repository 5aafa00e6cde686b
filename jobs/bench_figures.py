"""The reports of `nightjar bench` as tables for people."""

import json
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from jobs.console import result_console
from jobs.tables import print_table


def show(report: dict[str, Any], as_json: bool, tables: dict[str, Table]) -> None:
    """The tables; with `as_json` on stderr, and the report itself as the last line of stdout."""
    console = result_console(stderr=as_json)
    for title, table in tables.items():
        console.print(title, highlight=False)
        print_table(console, table)
    if as_json:
        print(json.dumps(report))


def step_figures(report: dict[str, Any]) -> Table:
    median, mean, tenth, ninth = (report[f"step_seconds{which}"] * 1000 for which in ("", "_mean", "_p10", "_p90"))
    figures = [
        ("rows/s", f"{report['rows_per_second']:,.0f}"),
        (f"step, median of {report['num_steps']:,}", f"{median:,.2f} ms"),
        ("step, mean", f"{mean:,.2f} ms"),
        ("step, 10 % to 90 %", f"{tenth:,.2f} to {ninth:,.2f} ms"),
        ("waiting for data", f"{report['data_wait']:.2%}"),
        ("preparing the batch, which a job does ahead", f"{report['prepare_share']:.2%}"),
        ("peak memory of a rank", _megabytes(report["peak_memory_bytes"])),
        ("of that, before training", _megabytes(report["memory_at_start_bytes"])),
        ("table and accumulators", _megabytes(report["table_bytes"])),
    ]
    return _figures(figures)


def step_limits(report: dict[str, Any]) -> Table:
    """What the step does of each, beside what the machine does at most."""
    work, limits, ratios, seconds = report["work"], report["limits"], report["ratios"], report["step_seconds"]
    flops, moved = work["dense_flops_per_step"] / seconds, work["table_bytes_per_step"] / seconds
    lines = [("table: copy, GB/s", moved / 1e9, limits["copy_bytes_per_second"] / 1e9, ratios["table_to_copy"])]
    for name, key in {"fp32": "fp32", "fp32 medium": "fp32_medium", "bf16": "bf16"}.items() if flops else ():
        limit = limits[f"{key}_flops_per_second"]
        lines.append((f"MLP: {name}, GFLOP/s", flops / 1e9, limit / 1e9, ratios[f"dense_to_{key}"]))
    fed, limit = report["rows_per_second"], limits["decode_rows_per_second"]
    lines.append(("feed: pyarrow, 1,000 rows/s", fed / 1e3, limit / 1e3, ratios["rows_to_decode"]))
    return _limits("this step", lines)


def feed_figures(report: dict[str, Any]) -> Table:
    after_start = report["rows_per_second_after_start"]
    figures = [
        ("rows/s, start of the pass included", f"{report['rows_per_second']:,.0f}"),
        ("rows/s after the first window", "undefined" if after_start is None else f"{after_start:,.0f}"),
        ("first window after", f"{report['first_window_seconds']:.2f} s"),
        ("the very first pass of a job", f"{report['first_pass_seconds']:.2f} s"),
        ("of that, until its first window", f"{report['first_pass_first_window_seconds']:.2f} s"),
        ("pyarrow alone, one thread, rows/s", f"{report['limits']['decode_rows_per_second']:,.0f}"),
        ("share of pyarrow alone", f"{report['ratios']['rows_to_decode']:.1%}"),
    ]
    return _figures(figures)


def job_figures(report: dict[str, Any]) -> Table:
    alone, wall, wait = report["step"], report["rows_per_second_wall"], report["data_wait_after_start"]
    figures = [
        ("rows/s, over the seconds in steps", f"{report['rows_per_second']:,.0f}"),
        ("rows/s, wall time of those steps", "undefined" if wall is None else f"{wall:,.0f}"),
        ("rows/s of the same from memory", f"{alone['rows_per_second']:,.0f}"),
        ("job to memory", f"{report['ratios']['rows_to_step']:.3f}"),
        ("waiting for data", f"{report['data_wait']:.2%}"),
        ("waiting, but for the first points", "undefined" if wait is None else f"{wait:.2%}"),
        ("peak memory of the rank", _megabytes(report["peak_memory_bytes"])),
        ("of that, shared with the object store", _megabytes(report["shared_memory_bytes"])),
        ("table and accumulators", _megabytes(report["table_bytes"])),
        ("whole fit", f"{report['fit_seconds']:.1f} s"),
        ("threads of the rank", f"{report['threads_of_rank']:.0f}"),
    ]
    return _figures(figures)


def run_phases(report: dict[str, Any]) -> Table:
    """Each phase with its parts below it, and what belongs to none."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("phase")
    for heading in ("from", "took", "share", "rows/s", "memory"):
        table.add_column(heading, justify="right")
    for one in report["phases"]:
        rate, held = one["rows_per_second"], one["peak_memory_bytes"]
        cells = [f"{one['began']:.1f} s", f"{one['seconds']:.1f} s", f"{one['share']:.1%}"]
        cells += ["" if rate is None else f"{rate:,.0f}", "" if held is None else _megabytes(held)]
        table.add_row("  " * one["depth"] + one["name"], *cells, style="dim" if one["depth"] else None)
    seconds, between, peak = report["seconds"], report["between_seconds"], report["peak_memory_bytes"]
    table.add_row("between them", "", f"{between:.1f} s", f"{between / seconds:.1%}", "", "", style="dim")
    table.add_row("together", "", f"{seconds:.1f} s", "", "", "" if peak is None else _megabytes(peak), style="bold")
    return table


def run_limits(report: dict[str, Any]) -> Table:
    """What the passes and the steps came to, beside what the machine does at most."""
    limits, ratios = report["limits"], report["ratios"]
    passes, read = report["passes_rows_per_second"] / 1e3, limits["rows_per_second"] / 1e3
    lines = [("count and encode: pyarrow alone, 1,000 rows/s", passes, read, ratios["passes_to_read"])]
    computed = report["steps_rows_per_second"] * report["flops_per_row"] / 1e9
    for name in ("fp32", "bf16") if computed else ():
        limit = limits[f"{name}_flops_per_second"] / 1e9
        lines.append((f"steps: {name}, GFLOP/s", computed, limit, ratios[f"steps_to_{name}"]))
    table = _limits("this run", lines)
    table.add_row("copy, GB/s", "", f"{limits['copy_bytes_per_second'] / 1e9:,.1f}", "")
    return table


def run_title(report: dict[str, Any]) -> str:
    shape, workers = report["shape"], report["workers"]
    where = f"{workers} worker{'s' * (workers > 1)} of Ray Train" if workers else "the command's own process"
    layers = "" if shape["model"] == "fm" else f" {'x'.join(map(str, shape['hidden']))}"
    kind = f", preset {report['preset']}" if report["preset"] else ""
    return (
        f"{report['rows']:,} rows of {report['days']} days{kind}, {report['fields']} fields, {report['ids']:,} ids; "
        f"{shape['model']}{layers}, K = {shape['dimension']}, batch {shape['batch_size']:,}, in {where}"
    )


def shape_title(report: dict[str, Any]) -> str:
    shape = report["shape"]
    members = f"{shape['members']} x " if shape["members"] > 1 else ""
    layers = "" if shape["model"] == "fm" else f", {members}MLP {'x'.join(map(str, shape['hidden']))}"
    ranks = "" if shape["num_ranks"] == 1 else f"{shape['num_ranks']} ranks of "
    return (
        f"{shape['model']}, {shape['num_fields']} fields, {shape['num_ids']:,} ids, K = {shape['dimension']}{layers}, "
        f"batch {shape['batch_size']:,}, {ranks}{shape['threads']} thread{'s' * (shape['threads'] > 1)}"
    )


def _limits(whose: str, lines: Sequence[tuple[str, float, float, float]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("limit")
    for heading in (whose, "the machine", "share"):
        table.add_column(heading, justify="right")
    for name, reached, limit, share in lines:
        table.add_row(name, f"{reached:,.2f}", f"{limit:,.1f}", f"{share:.1%}")
    return table


def _figures(figures: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures:
        table.add_row(name, value)
    return table


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
