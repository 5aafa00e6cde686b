"""Ray's job server, over HTTP: asked in seconds, and what it answers or refuses in our words."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.submission import server_address
from schemas.errors import MOST_CHARACTERS, Failure, Refusal, on_one_line
from schemas.redaction import redacted

Answer = TypeVar("Answer")
ANSWER_SECONDS = 5.0
TIMEOUTS = (ANSWER_SECONDS, 15.0)  # to connect, and to wait for an answer: Ray's client would wait for ever
OVER = {"STOPPED", "SUCCEEDED", "FAILED"}
TAKEN = "already exists"  # what it says of an id
MARK = "nightjar_identity"  # of the metadata: what is ours says which work it is


class Away(Failure):
    """The job server does not answer now, or answers that it cannot: it may later."""

    def __init__(self, address: str, why: str, text: str = "") -> None:
        super().__init__(f"Ray's job server at {redacted(address)} does not do what it is asked: {why}")
        self.text = text


@dataclass(frozen=True, slots=True)
class Job:
    """As the job server knows it; times in milliseconds since 1970."""

    submission_id: str
    status: str
    exit_code: int | None
    message: str
    error_type: str | None
    began: int | None
    ended: int | None
    metadata: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def identity(self) -> str | None:
        """Which work of ours it is; None of another's."""
        return self.metadata.get(MARK)


class JobServer:
    """Connected, and of this Ray's version. Every call raises Away where the server is."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = _connected(address)

    def jobs(self) -> list[Job]:
        """All that were submitted, the oldest first."""
        details = self._ask(lambda: self._client.list_jobs())
        found = [_job(one) for one in details if one.submission_id]
        return sorted(found, key=lambda job: job.began or 0)

    def job(self, submission_id: str) -> Job | None:
        details = self._ask(lambda: self._client.get_job_info(submission_id), {404: None})
        return details and _job(details)

    def submit(
        self, submission_id: str, entrypoint: str, runtime_env: dict[str, Any], metadata: dict[str, str]
    ) -> bool:
        """False where the id is taken."""
        try:
            self._ask(
                lambda: self._client.submit_job(
                    entrypoint=entrypoint, submission_id=submission_id, runtime_env=runtime_env, metadata=metadata
                )
            )
        except Away as away:
            if TAKEN in away.text:
                return False
            raise
        return True

    def log(self, submission_id: str) -> str:
        """What the job has printed so far; Away also where only the node is that keeps it."""
        return str(self._ask(lambda: self._client.get_job_logs(submission_id), {404: ""}))

    def stop(self, submission_id: str) -> None:
        self._ask(lambda: self._client.stop_job(submission_id), {404: None})

    def _ask(self, call: Callable[[], Answer], instead: Mapping[int, Answer | None] | None = None) -> Any:
        """The answer, or what stands for one of these statuses."""
        import requests
        from ray.exceptions import AuthenticationError

        try:
            return call()
        except AuthenticationError as error:
            raise _unauthorized(self.address, error) from error
        except (requests.RequestException, ConnectionError) as error:
            raise Away(self.address, _reason(error)) from error
        except _Answered as answer:
            if answer.status in (instead or {}):
                return (instead or {})[answer.status]
            raise Away(self.address, f"status {answer.status}, {answer}", answer.text) from answer


class _Answered(Exception):
    """The server answered with another status than 200."""

    def __init__(self, status: int, text: str) -> None:
        lines = [line for line in text.splitlines() if re.search(r"\w", line)]  # of a traceback, or of a page
        super().__init__(_printable(lines[-1] if lines else "which says nothing"))
        self.status = status
        self.text = text


def _connected(address: str) -> Any:
    """Ray's client of the job server there. Raises Refusal, within seconds, where none answers, or of another Ray."""
    _require_listening(address)
    try:
        import aiohttp  # noqa: F401 (which the extra brings)
        import requests
        from ray.exceptions import AuthenticationError

        kind = _kind_of_client()
    except ImportError as error:
        raise Refusal(
            found=f"no package {error.name}",
            expected="the extra `cluster`, which has the client of Ray's job server",
            where="this Python environment",
            remedy="pip install 'nightjar[cluster]'",
        ) from error
    try:
        with server_address.without_variables():
            client = kind(address)
    except AuthenticationError as error:
        raise _unauthorized(address, error) from error
    except (requests.RequestException, ConnectionError, RuntimeError, KeyError, ValueError) as error:
        raise server_address.wrong(address, f"something that is no job server of Ray's: {_reason(error)}") from error
    _require_version(address, str(client._server_ray_version))
    return client


def _require_listening(address: str) -> None:
    import socket

    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), ANSWER_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise server_address.wrong(address, _reason(error)) from error


def _kind_of_client() -> Any:
    """Ray's, but that it does not wait for ever, tells another status by `_Answered`, and logs errors alone."""
    from ray.dashboard.modules.job.sdk import JobSubmissionClient

    for name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", "_private.runtime_env.packaging"):
        logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)

    class Client(JobSubmissionClient):  # type: ignore[misc]
        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, **{"timeout": TIMEOUTS, **options})

        def _raise_error(self, response: Any) -> None:
            raise _Answered(response.status_code, response.text)

    return Client


def _require_version(address: str, version: str) -> None:
    import ray

    if version != ray.__version__:
        raise Refusal(
            found=f"Ray {version} on the cluster, {ray.__version__} here",
            expected="one version",
            where=redacted(address),
            remedy=f"submit from an environment of the cluster's image, or pip install 'ray[default]=={version}'",
        )


def _unauthorized(address: str, error: Exception) -> Refusal:
    has_token = "Authentication required" not in str(error)
    return Refusal(
        found="a token that the cluster does not take" if has_token else "no token, where the cluster wants one",
        expected="the cluster's own token",
        where=redacted(address),
        remedy="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH, the file that holds it, or RAY_AUTH_TOKEN",
    )


def _reason(error: Exception) -> str:
    """In a line, without the wrappers of the HTTP client."""
    root: BaseException = error
    while root.__cause__ or root.__context__:
        root = root.__cause__ or root.__context__  # type: ignore[assignment]
    return _printable(str(root)) or type(root).__name__


def _printable(words: str) -> str:
    """In a line; what answers in the place of a job server may say anything."""
    return redacted(on_one_line("".join(sign if sign.isprintable() else " " for sign in words), None))[:MOST_CHARACTERS]


def _job(details: Any) -> Job:
    return Job(
        submission_id=str(details.submission_id),
        status=str(details.status),
        exit_code=details.driver_exit_code,
        message=redacted(details.message or ""),
        error_type=details.error_type,
        began=details.start_time,
        ended=details.end_time,
        metadata=details.metadata or {},
    )
