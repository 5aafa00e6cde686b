"""`nightjar jobs`, `logs` and `stop`: the jobs that `nightjar submit` has put onto a cluster."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from jobs.console import result_console
from jobs.options import AsJson
from jobs.submit import Address, say
from jobs.tables import print_table

if TYPE_CHECKING:
    from pipeline.submission.job_server import Job, JobServer

SubmissionId = Annotated[str, typer.Argument(metavar="ID", help="As `nightjar submit` and `nightjar jobs` show it.")]


def jobs(address: Address = None, as_json: AsJson = False) -> None:
    """Show what was submitted to a cluster since its head was started, the newest last.

    Example: `nightjar jobs --address http://head:8265`
    """
    found = [job for job in _server(address).jobs() if job.identity]
    table = Table(box=SIMPLE_HEAD)
    table.add_column("job", no_wrap=True, overflow="fold")
    for heading in ("status", "began, UTC"):
        table.add_column(heading, no_wrap=True)
    for heading in ("minutes", "exit code"):
        table.add_column(heading, justify="right")
    for job in found:
        began = datetime.fromtimestamp((job.began or 0) / 1000, UTC)
        code = "" if job.exit_code is None else str(job.exit_code)
        table.add_row(job.submission_id, job.status.lower(), f"{began:%Y-%m-%d %H:%M}", f"{_minutes(job):.1f}", code)
    print_table(result_console(stderr=as_json), table)
    if as_json:
        print(json.dumps({"jobs": [_figures(job) for job in found]}))


def logs(
    submission_id: SubmissionId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
    address: Address = None,
) -> None:
    """Show what a job has printed. Ctrl-C ends that, and not the job.

    Example: `nightjar logs -f nightjar-nightly-2026-11-16-ab12cd-1`
    """
    server = _server(address)
    from pipeline.submission import following

    following.require(server, submission_id)
    if follow:
        following.follow(server, submission_id, say, lambda lines: print(lines, flush=True))
    else:
        print(server.log(submission_id).rstrip("\n"))


def stop(submission_id: SubmissionId, address: Address = None) -> None:
    """End a job orderly: it gives its lease back and ends its runs. The same work, submitted again, goes on from there.

    Example: `nightjar stop nightjar-nightly-2026-11-16-ab12cd-1`
    """
    server = _server(address)
    from pipeline.submission import following

    job, is_stopped = following.stop(server, submission_id, say)
    print(f"{submission_id} {'stopped' if is_stopped else f'is over already: {job.status.lower()}'}")


def _server(address: str | None) -> "JobServer":
    from pipeline.submission import job_server, server_address

    return job_server.JobServer(server_address.chosen(address))


def _minutes(job: "Job") -> float:
    now = datetime.now(UTC).timestamp() * 1000
    return ((job.ended or now) - (job.began or now)) / 60_000


def _figures(job: "Job") -> dict[str, object]:
    return {
        "id": job.submission_id,
        "status": job.status,
        "exit_code": job.exit_code,
        "began": job.began and datetime.fromtimestamp(job.began / 1000, UTC).isoformat(),
        "minutes": round(_minutes(job), 2),
        "verb": job.metadata.get("verb"),
        "night": job.metadata.get("night"),
    }
