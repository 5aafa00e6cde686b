"""Make tonight's RayJob from a suspended one, and wait for its end: what the pod of the CronJob runs.

The night is named after the time that its Job was due, so that a pod that comes in the place of a lost one finds the
night that is under way, and follows it. The RayJob belongs to the Job, and goes with it. Needs nothing but Python, and
of Kubernetes the right to get and to create RayJobs. Exits as `nightjar` did on the cluster; 1 where it has no say.
"""

import argparse
import datetime
import http.client
import json
import os
import re
import ssl
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

OUTAGE_SECONDS = 1800.0  # of Kubernetes' API server, in which the night itself goes on
AWAY = (OSError, http.client.HTTPException, ValueError)
ENDED = {"Complete", "Failed"}
TAIL_LINES = 20
MINUTES = re.compile(r"-(\d{7,})$")  # a CronJob's Job ends in the minute that it was due, since 1970
EXIT_CODE = re.compile(r"failed with exit code (\d+)")


class Refused(Exception):
    """What the API server answers where asking again is of no use."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"Kubernetes answers {status}: {words}")
        self.status = status


class RayJobs:
    """The RayJobs of this pod's own namespace."""

    def __init__(self, api: str, account: Path) -> None:
        self._url = urllib.parse.urlsplit(api)
        self._account = account
        namespace = (account / "namespace").read_text().strip()
        self._path = f"/apis/ray.io/v1/namespaces/{namespace}/rayjobs"

    def get(self, name: str) -> dict[str, Any]:
        return self._ask("GET", f"{self._path}/{name}")

    def create(self, job: dict[str, Any]) -> bool:
        """False where one of that name is there already."""
        try:
            self._ask("POST", self._path, json.dumps(job))
        except Refused as refused:
            if refused.status == http.client.CONFLICT:
                return False
            raise
        return True

    def _ask(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        """Raises Refused, or OSError and HTTPException where the answer may be another in a while."""
        token = (self._account / "token").read_text().strip()  # which is renewed every hour
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status >= http.client.INTERNAL_SERVER_ERROR or response.status == http.client.TOO_MANY_REQUESTS:
            raise OSError(f"Kubernetes answers {response.status}")
        answer = json.loads(text)
        if response.status >= http.client.BAD_REQUEST:
            raise Refused(response.status, answer.get("message", text))
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=30)
        trusted = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        return http.client.HTTPSConnection(host, port, timeout=30, context=trusted)


def due(job_name: str, now: datetime.datetime) -> datetime.datetime:
    """When the Job of that name was due; now, where a person has made it."""
    found = MINUTES.search(job_name)
    return datetime.datetime.fromtimestamp(int(found[1]) * 60, datetime.UTC) if found else now


def tonight(template: dict[str, Any], name: str, owner: dict[str, str]) -> dict[str, Any]:
    """A RayJob that runs, of one that is suspended."""
    return {
        "apiVersion": template["apiVersion"],
        "kind": "RayJob",
        "metadata": {
            "name": name,
            "labels": template["metadata"].get("labels", {}),
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", **owner}],
        },
        "spec": {key: value for key, value in template["spec"].items() if key != "suspend"},
    }


def begin(jobs: RayJobs, of: str, name: str, owner: dict[str, str], every_seconds: float) -> None:
    """Make the night, or find it made; asked again as long as the API server is away, for which it is never twice."""
    began = time.monotonic()
    while True:
        try:
            is_new = jobs.create(tonight(jobs.get(of), name, owner))
            break
        except AWAY as error:
            if time.monotonic() - began > OUTAGE_SECONDS:
                raise
            print(f"{error}; the night has not begun", flush=True)
        time.sleep(every_seconds)
    print(f"{name} {'begins' if is_new else 'is under way'}", flush=True)


def follow(jobs: RayJobs, name: str, every_seconds: float) -> dict[str, Any]:
    """The status at the end, with a line for each change on the way."""
    said, heard = "", time.monotonic()
    while True:
        try:
            status = jobs.get(name).get("status", {})
            heard = time.monotonic()
        except AWAY as error:
            if time.monotonic() - heard > OUTAGE_SECONDS:
                raise
            print(f"{error}; the night goes on without being watched", flush=True)
        else:
            words = f"{status.get('jobDeploymentStatus') or 'New'} {status.get('jobStatus') or ''}".strip()
            if status.get("failed") and words.partition(" ")[0] not in ENDED:
                words += f", attempt {status['failed'] + 1}"
            if words != said:
                said = words
                print(f"{datetime.datetime.now(datetime.UTC):%H:%M:%S} UTC  {words}", flush=True)
            if words.partition(" ")[0] in ENDED:
                return status
        time.sleep(every_seconds)


def exit_code(status: dict[str, Any]) -> int:
    """That of the command, which stands in the words of Ray's job alone."""
    if status.get("jobStatus") == "SUCCEEDED":
        return 0
    found = EXIT_CODE.search(status.get("message") or "")
    return int(found[1]) if found else 1


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", required=True, help="the suspended RayJob")
    parser.add_argument("--prefix", default="nightjar")
    parser.add_argument("--api", default="https://kubernetes.default.svc")
    parser.add_argument("--account", type=Path, default=Path("/var/run/secrets/kubernetes.io/serviceaccount"))
    parser.add_argument("--every-seconds", type=float, default=15.0)
    options = parser.parse_args(arguments)
    job_name, owner_uid = os.environ["JOB_NAME"], os.environ["JOB_UID"]
    name = f"{options.prefix}-{due(job_name, datetime.datetime.now(datetime.UTC)):%Y%m%d-%H%M}"
    try:
        jobs = RayJobs(options.api, options.account)
        begin(jobs, options.of, name, {"name": job_name, "uid": owner_uid}, options.every_seconds)
        status = follow(jobs, name, options.every_seconds)
    except (*AWAY, Refused) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    tail = (status.get("message") or "").splitlines()
    print("\n".join([*filter(None, [status.get("reason")]), *tail[:1], *tail[1:][-TAIL_LINES:]]), flush=True)
    return exit_code(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
