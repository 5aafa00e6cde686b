"""A job followed to its end by asking for its status; its log is shown as it grows, and nothing hangs on that."""

import time
from collections.abc import Callable

from pipeline.submission.environment import STOP_SECONDS
from pipeline.submission.job_server import Away, Job, JobServer
from schemas.errors import TERMINATED, Failure, Refusal
from schemas.redaction import redacted

POLL_SECONDS = 1.0
LOG_POLLS = 3  # status is asked for so many times as often as the log
AWAY_SECONDS = 600.0
MAX_LOG_CHARACTERS = 1_000_000  # of what is asked for again and again; a good night's has some five thousand
LAST_LINES = 20
NOT_FOUND = 127  # of /bin/sh
Say = Callable[[str], None]


def follow(server: JobServer, submission_id: str, say: Say, show: Say, away_seconds: float = AWAY_SECONDS) -> Job:
    """The job when it is over. What it prints is given to `show`, in whole lines, and what happens here to `say`.

    A job server that is away is waited for, for so long, while the job goes on. Raises Failure after that, or when the
    cluster has forgotten the job.
    """
    log = _Log(server, submission_id, say, show)
    polls = 0
    while True:
        job = _asked(server, submission_id, say, away_seconds)
        if job.is_over:
            log.read(is_last=True)
            return job
        if polls % LOG_POLLS == 0:
            log.read()
        polls += 1
        time.sleep(POLL_SECONDS)


def last_lines(server: JobServer, submission_id: str) -> str:
    """What a job printed last, its result among it; empty where its node has gone with the log."""
    try:
        lines = server.log(submission_id).rstrip().splitlines()
    except Away:
        return ""
    return "\n".join(lines[-LAST_LINES:])


def stop(server: JobServer, submission_id: str, say: Say) -> tuple[Job, bool]:
    """The job when it has ended, and whether it was stopped by this: SIGTERM, and time to end orderly."""
    found = require(server, submission_id)
    if found.is_over:
        return found, False
    server.stop(submission_id)
    until = time.monotonic() + STOP_SECONDS + 30
    while time.monotonic() < until:
        job = _asked(server, submission_id, say, AWAY_SECONDS)
        if job.is_over:
            return job, job.status == "STOPPED"
        time.sleep(POLL_SECONDS)
    raise Failure(f"{submission_id} goes on, {STOP_SECONDS + 30} s after it was told to stop: look at its node")


def require(server: JobServer, submission_id: str) -> Job:
    job = server.job(submission_id)
    if job is None:
        raise Refusal(
            found=f"no job {submission_id}",
            expected="the id of a job that was submitted to this cluster since it was started",
            where=redacted(server.address),
            remedy="see `nightjar jobs`",
        )
    return job


def exit_code(job: Job) -> int:
    """Of a job that is over: its command's own, as a shell has it. Raises for one that never came to a command."""
    if job.status == "STOPPED":  # by SIGTERM, and Ray keeps no code of it
        return TERMINATED
    if job.exit_code == NOT_FOUND:
        raise Refusal(
            found="no command `nightjar` on the PATH of the cluster's head",
            expected="Nightjar installed there, as on every node",
            where=job.submission_id,
            remedy="start the head from Nightjar's image, or with the PATH of its environment",
        )
    if job.exit_code is not None:
        return job.exit_code if job.exit_code >= 0 else 128 - job.exit_code
    if job.error_type == "RUNTIME_ENV_SETUP_FAILURE":
        raise Refusal(
            found=_short(job.message),
            expected="a head that unpacks the folder of the config",
            where=job.submission_id,
            remedy="look at the head's disk and at its runtime_env_agent.log; the same command tries again",
        )
    raise Failure(
        f"{job.submission_id} ended without a word of its own: {_short(job.message)}; the same command goes on"
    )


def _short(message: str) -> str:
    """In a line; of a traceback its last one, which names the error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    words = lines[-1:] if "Traceback" in message else lines
    return " ".join(words)[:300] or "nothing was said"


def _asked(server: JobServer, submission_id: str, say: Say, away_seconds: float) -> Job:
    """Its state, however long the server is away, up to so many seconds."""
    since: float | None = None
    while True:
        try:
            job = server.job(submission_id)
        except Away as away:
            now = time.monotonic()
            if since is None:
                since = now
                say(
                    f"the job server does not answer ({away}); the job goes on, and so does this for {away_seconds:g} s"
                )
            if now - since > away_seconds:
                words = f"{away}, and has not for {away_seconds:g} s"
                raise Failure(f"{words}; {submission_id} may go on, and the same command attaches to it") from away
            time.sleep(POLL_SECONDS)
            continue
        if since is not None:
            say(f"the job server answers again after {time.monotonic() - since:.0f} s")
        if job is None:
            raise Failure(f"the cluster knows {submission_id} no more: its head began anew; the same command does, too")
        return job


class _Log:
    """How far a job's log has been shown."""

    def __init__(self, server: JobServer, submission_id: str, say: Say, show: Say) -> None:
        self._server = server
        self._id = submission_id
        self._say = say
        self._show = show
        self._shown = 0
        self._is_too_long = False

    def read(self, *, is_last: bool = False) -> None:
        """Show the lines that are new; at the end also one that was not ended."""
        if self._is_too_long and not is_last:
            return
        try:
            text = self._server.log(self._id)
        except Away:
            if is_last:
                self._say("the rest of its log cannot be had")
            return
        end = len(text) if is_last else text.rfind("\n") + 1
        if end > self._shown:
            self._show(text[self._shown : end].rstrip("\n"))
            self._shown = end
        if end > MAX_LOG_CHARACTERS and not self._is_too_long:
            self._is_too_long = True
            self._say("its log is long; the rest is shown at the end")
