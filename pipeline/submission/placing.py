"""One job for one work: attached to where it runs, answered from where it is done, begun where it is neither."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.submission.environment import OF_RAY
from pipeline.submission.job_server import MARK, Job, JobServer
from pipeline.submission.naming import Name
from pipeline.submission.work import Work
from schemas.errors import Failure, Refusal

How = Literal["submitted", "attached", "done"]
ROUNDS = 5  # of those that submit the same work within the same moments


@dataclass(frozen=True, slots=True)
class Placed:
    submission_id: str
    how: How


def place(server: JobServer, work: Work, name: Name, *, is_answered: bool) -> Placed:
    """Have the work done by one job. Raises Refusal where another's job goes by its name.

    `is_answered`: what succeeded before is this work's result, for its input is in its name. Of two that submit at once
    Ray takes one; the other attaches.
    """
    for _ in range(ROUNDS):
        found = _attempts(server.jobs(), name)
        last = max(found, default=0)
        if last:
            job = found[last]
            if not job.is_over:
                return Placed(job.submission_id, "attached")
            if job.status == "SUCCEEDED" and is_answered:
                return Placed(job.submission_id, "done")
        submission_id = name.attempt(last + 1)
        if _submit(server, work, name, submission_id):
            return Placed(submission_id, "submitted")
    raise Failure(f"{name.stem}: its ids are taken faster than they can be asked for; the same command tries again")


def _attempts(jobs: Sequence[Job], name: Name) -> dict[int, Job]:
    found = {number: job for job in jobs if (number := name.number_of(job.submission_id))}
    for job in found.values():
        if job.identity != name.identity:
            raise Refusal(
                found=f"a job {job.submission_id} of other work",
                expected="an id that is free, or taken by this very work",
                where="the cluster's job server",
                remedy=f"delete that job with `ray job delete {job.submission_id}` when it is over",
            )
    return found


def _submit(server: JobServer, work: Work, name: Name, submission_id: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="nightjar-") as folder:
        work.write(Path(folder))
        runtime_env = {"working_dir": folder, "env_vars": {**OF_RAY, **work.environment}}
        metadata = {MARK: name.identity, "verb": work.verb, **({"night": str(name.night)} if name.night else {})}
        return server.submit(submission_id, work.entrypoint, runtime_env, metadata)
