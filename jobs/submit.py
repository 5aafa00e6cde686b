"""`nightjar submit`: any verb with a config, run on a Ray cluster as one job."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.config import TrainConfig
from schemas.errors import INTERRUPTED, Refusal
from schemas.loading import load
from schemas.locations import absolute, absolute_model
from schemas.redaction import redacted
from schemas.sweep import SweepConfig

if TYPE_CHECKING:
    from pipeline.submission.job_server import JobServer
    from pipeline.submission.work import Work

Address = Annotated[
    str | None,
    typer.Option("--address", help="Ray's dashboard, http://head:8265; none: $RAY_API_SERVER_ADDRESS, $RAY_ADDRESS."),
]
PLACES = {"out": absolute, "model": absolute_model}
SWEEP = "sweep.yaml"


def submit(
    ctx: typer.Context,
    verb: Annotated[list[str], typer.Argument(help="A verb that takes --config, and its options.", metavar="VERB ...")],
    address: Address = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show its log, and exit as it does.")] = False,
    shared_paths: Annotated[
        bool, typer.Option("--shared-paths", help="Local paths are on a disk that all nodes mount at the same place.")
    ] = False,
) -> None:
    """Run a verb on a Ray cluster, as a job that this machine need not outlive. Its config is checked here first.

    The same work is one job: running, this attaches to it; done, it tells its result; failed, it begins the next
    attempt. What travels is the resolved config: no file of this machine, no secret. With --wait, Ctrl-C detaches.

    Example: `nightjar submit --address http://head:8265 --wait -- nightly --config night.yaml`
    """
    work = _work_of(ctx, verb[0], verb[1:])
    from pipeline.submission import job_server, naming, placing, server_address, subject
    from pipeline.submission.work import require_no_secrets, require_portable

    require_no_secrets(work)
    if not shared_paths:
        require_portable(work)
    server = job_server.JobServer(server_address.chosen(address))
    work, night, log = subject.of_log(work)
    name = naming.name_of(work, night, log or "")
    placed = placing.place(server, work, name, is_answered=subject.is_answered(work, log))
    options = f" --address {shlex.quote(redacted(address))}" if address else ""
    _tell(work, server, placed.submission_id, placed.how, options)
    if placed.how == "done":
        _print_result(server, placed.submission_id)
    elif wait:
        _wait(server, placed.submission_id, options)
    else:
        print(placed.submission_id)


def _work_of(ctx: typer.Context, verb: str, arguments: Sequence[str]) -> "Work":
    """The verb as it was typed, parsed by its own command and with its config resolved here."""
    from pipeline.submission.environment import forwarded
    from pipeline.submission.work import Work, text_of

    group: Any = ctx.find_root().command
    command = group.commands.get(verb)
    verbs = [name for name, one in group.commands.items() if any(option.name == "config" for option in one.params)]
    if verb not in verbs:
        raise Refusal(
            found=redacted(repr(verb)),
            expected=f"one of {', '.join(sorted(verbs))}",
            where="submit",
            remedy="nightjar submit [--wait] -- VERB --config FILE ...",
        )
    own = command.make_context(f"nightjar {verb}", list(arguments))
    typed: dict[str, Any] = command.make_parser(own).parse_args(list(arguments))[0]
    config = load(TrainConfig, Path(typed.pop("config")), typed.pop("set_", None) or [])
    places = {f"--{name}": make(typed[name]) for name, make in PLACES.items() if name in typed}
    typed |= {name.removeprefix("--"): place for name, place in places.items()}
    beside = {}
    if "sweep_path" in typed:
        load(SweepConfig, Path(typed["sweep_path"]))
        beside[SWEEP] = text_of(Path(typed["sweep_path"]))
        typed["sweep_path"] = SWEEP
    words = _words(command, typed)
    return Work(verb, config, tuple(words), places, beside, forwarded(config))


def _words(command: Any, typed: dict[str, Any]) -> list[str]:
    """The options as they can be typed again, in the command's own order: the same call has the same words."""
    words: list[str] = []
    for option in command.params:
        value = typed.get(option.name)
        if value is True:
            words.append(option.opts[0])
        for one in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
            words += [option.opts[0], one]
    return words


def _tell(work: "Work", server: "JobServer", submission_id: str, how: str, options: str) -> None:
    words = {
        "submitted": f"submitted to {redacted(server.address)}, with {work.num_bytes / 1e3:.1f} kB of config",
        "attached": f"is at work already on {redacted(server.address)}",
        "done": f"is done already on {redacted(server.address)}; what it printed last:",
    }
    with_it = f"; {', '.join(sorted(work.environment))} of this shell go with it" if work.environment else ""
    print(f"{submission_id} {words[how]}{with_it * (how == 'submitted')}", file=sys.stderr)
    if how != "done":
        print(f"  nightjar logs {submission_id} -f{options}", file=sys.stderr)
        print(f"  nightjar stop {submission_id}{options}", file=sys.stderr)


def _print_result(server: "JobServer", submission_id: str) -> None:
    from pipeline.submission.following import last_lines

    print(last_lines(server, submission_id))


def _wait(server: "JobServer", submission_id: str, options: str) -> None:
    from pipeline.submission import following

    try:
        job = following.follow(server, submission_id, say, lambda lines: print(lines, flush=True))
    except SystemExit as stopped:
        if stopped.code == INTERRUPTED:
            say(f"detached: {submission_id} goes on; nightjar stop {submission_id}{options} stops it")
        raise
    code = following.exit_code(job)
    minutes = ((job.ended or 0) - (job.began or 0)) / 60_000
    say(f"{submission_id} {job.status.lower()} after {minutes:.1f} minutes, exit code {code}")
    raise typer.Exit(code)


def say(words: str) -> None:
    print(f"nightjar: {words}", file=sys.stderr, flush=True)
