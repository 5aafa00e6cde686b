"""`nightjar bench`: what training costs on this machine, beside what the machine could do at most."""

import sys
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from jobs.bench_figures import (
    feed_figures,
    job_figures,
    run_limits,
    run_phases,
    run_title,
    shape_title,
    show,
    step_figures,
    step_limits,
)
from jobs.options import AsJson
from pipeline.synthetic.presets import PresetName

FEATURES = Path(__file__).parent / "configs" / "synthetic_features.yaml"
NIGHTJAR = (sys.executable, "-m", "jobs")
app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def bench() -> None:
    """Measure training on rows whose ids follow Zipf's law: one step, the feed, a whole job, a whole run from its log.

    Example: `nightjar bench step --model fm`
    """


Model = Annotated[str, typer.Option(help="fm, fnn, dnn or deepfm.")]
Fields = Annotated[int, typer.Option(help="Fields of a row, one id each.")]
Vocab = Annotated[int, typer.Option(help="Ids of all fields together: rows of the table.")]
BatchSize = Annotated[int, typer.Option(help="Rows of a step, over all ranks together.")]
Dimension = Annotated[int, typer.Option(help="K, the length of v.")]
Hidden = Annotated[str, typer.Option(help="Units of each hidden layer; fm has none.")]
Threads = Annotated[int, typer.Option(help="Threads of each rank.")]
Placement = Annotated[str, typer.Option(help="Of the table among ranks: replicated or row_sharded.")]
Precision = Annotated[str, typer.Option(help="Of the layers' products: auto, float32 or bfloat16.")]
Fused = Annotated[bool, typer.Option(help="Take fm's fused kernels where they apply.")]
Seconds = Annotated[float, typer.Option(help="Time to spend in steps.")]


@app.command()
def step(
    model: Model = "deepfm",
    fields: Fields = 39,
    vocab: Vocab = 1_000_000,
    batch_size: BatchSize = 4096,
    dimension: Dimension = 16,
    hidden: Hidden = "400,400,400",
    members: Annotated[int, typer.Option(help="Nets over the same rows; fm is one.")] = 1,
    ranks: Annotated[int, typer.Option(help="Processes that train together, over gloo on this machine.")] = 1,
    batch_per_rank: Annotated[
        bool, typer.Option("--batch-per-rank", help="--batch-size is that of each rank.")
    ] = False,
    threads: Threads = 1,
    placement: Placement = "replicated",
    precision: Precision = "auto",
    fused: Fused = True,
    seconds: Seconds = 10.0,
    as_json: AsJson = False,
) -> None:
    """Train from memory with the real loop: rows a second, and how near that is to the machine's limits. No Ray.

    The limits are measured in the same processes, in turns with the steps.

    Example: `nightjar bench step --model deepfm --ranks 2`
    """
    from pipeline.bench.shape import Shape, parse_hidden, require_positive

    shape = Shape(
        model=model,
        num_fields=fields,
        num_ids=vocab,
        batch_size=batch_size * ranks if batch_per_rank else batch_size,
        dimension=dimension,
        hidden=parse_hidden(hidden),
        members=members,
        num_ranks=ranks,
        threads=threads,
        placement=placement,
        precision=precision,
        fused=fused,
    )
    shape.check()
    require_positive("--seconds", seconds)
    from pipeline.bench import step as bench_step

    report = bench_step.measure(shape, seconds)
    show(
        report, as_json, {shape_title(report): step_figures(report), "Beside the machine's limits": step_limits(report)}
    )


@app.command()
def run(
    rows: Annotated[int, typer.Option(help="Rows of the log, the held-out day's among them.")] = 1_500_000,
    days: Annotated[int, typer.Option(help="Days that they are spread over; the newest is held out.")] = 15,
    preset: Annotated[
        PresetName | None,
        typer.Option(help="Rows as `nightjar generate` draws them, in the place of --fields and --vocab."),
    ] = None,
    model: Model = "deepfm",
    fields: Fields = 39,
    vocab: Vocab = 1_000_000,
    batch_size: BatchSize = 4096,
    dimension: Dimension = 16,
    hidden: Hidden = "400,400,400",
    workers: Annotated[int, typer.Option(help="Ranks of a Ray Train job; 0: the command's own process.")] = 0,
    threads: Threads = 1,
    precision: Precision = "auto",
    keep: Annotated[
        Path | None, typer.Option(help="Folder that log and work stay in; a log of that shape there is taken.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="File that the waterfall is drawn into, PNG or SVG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Generate a log and run `nightjar train` on it, to a registered model: each phase's time, rows/s and memory.

    From the command's start to its end, imports included; beside what the machine does at most.

    Example: `nightjar bench run --rows 2000000 --model deepfm --hidden 300,100`
    """
    from pipeline.bench.shape import Run, Shape, parse_hidden

    shape = Shape(
        model=model,
        num_fields=fields,
        num_ids=vocab,
        batch_size=batch_size,
        dimension=dimension,
        hidden=parse_hidden(hidden),
        threads=threads,
        precision=precision,
    )
    asked = Run(model=shape, num_rows=rows, num_days=days, num_workers=workers, preset=preset)
    asked.check()
    from pipeline.bench import run as bench_run

    with nullcontext(keep) if keep else TemporaryDirectory() as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        report = bench_run.measure(asked, Path(folder).absolute(), NIGHTJAR, FEATURES, _say)
    show(report, as_json, {run_title(report): run_phases(report), "Beside the machine's limits": run_limits(report)})
    if plot:
        bench_run.draw(report, plot, run_title(report))


@app.command()
def feed(
    fields: Fields = 39,
    vocab: Vocab = 1_000_000,
    rows: Annotated[int, typer.Option(help="Rows of the packed store.")] = 2_000_000,
    batch_size: BatchSize = 4096,
    as_json: AsJson = False,
) -> None:
    """Read a packed store through Ray Data with one CPU, as a training rank does, and by pyarrow alone.

    Example: `nightjar bench feed --rows 2000000`
    """
    from pipeline.bench.shape import check_ids, require_positive

    check_ids(fields, vocab)
    require_positive("--rows", rows)
    require_positive("--batch-size", batch_size)
    from pipeline.bench import feed as bench_feed

    report = bench_feed.measure(rows, fields, vocab, batch_size)
    show(report, as_json, {f"A pass over {rows:,} rows of {fields} fields, one reader": feed_figures(report)})


@app.command()
def job(
    model: Model = "deepfm",
    fields: Fields = 39,
    vocab: Vocab = 1_000_000,
    rows: Annotated[int, typer.Option(help="Rows to train on.")] = 5_000_000,
    batch_size: BatchSize = 4096,
    dimension: Dimension = 16,
    hidden: Hidden = "400,400,400",
    threads: Threads = 1,
    precision: Precision = "auto",
    fused: Fused = True,
    seconds: Seconds = 10.0,
    as_json: AsJson = False,
) -> None:
    """Fit one stage with Ray, one worker and one reader, and hold its rows a second against `bench step`'s.

    --seconds is of `bench step`; the job takes as long as its rows do.

    Example: `nightjar bench job --model deepfm --rows 5000000`
    """
    from pipeline.bench.shape import Shape, check_rows, parse_hidden, require_positive

    shape = Shape(
        model=model,
        num_fields=fields,
        num_ids=vocab,
        batch_size=batch_size,
        dimension=dimension,
        hidden=parse_hidden(hidden),
        threads=threads,
        precision=precision,
        fused=fused,
    )
    shape.check()
    check_rows(rows, shape)
    require_positive("--seconds", seconds)
    from pipeline.bench import job as bench_job

    report = bench_job.measure(shape, rows, seconds, _say)
    show(report, as_json, {f"{shape_title(report)}, {rows:,} rows through Ray": job_figures(report)})


def _say(words: str) -> None:
    print(f"{words} ...", file=sys.stderr, flush=True)
