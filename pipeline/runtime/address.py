"""Whether a Ray cluster answers at an address, and would have this process: asked, within seconds, before Ray is.

Ray's own client can't be told to give up. It tries for a minute and more, prints as it goes, and ends the process where
a token is missing or where this machine is none of the cluster's: a process of its own asks for us.
"""

import json
import os
import platform
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from schemas.errors import Refusal, on_one_line

ANSWER_SECONDS = 5.0  # for a connection
START_SECONDS = 60.0  # for the process that asks to import Ray, on a machine as busy as it may be
ASK_SECONDS = 10.0  # for what it asks
LOCAL = "local"  # a cluster of the command's own, for as long as it runs
WHERE = "cluster.address, or RAY_ADDRESS"
REMEDY = "start the cluster or correct the address; without one, Ray runs on this machine alone"
SCRIPT = Path(__file__).with_name("ask_ray.py")
TOKEN_REMEDY = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the file that holds the cluster's token"  # noqa: S105


def require(address: str) -> None:
    """Raise Refusal for an address at which no driver could begin; `auto` is looked up as Ray does it."""
    if address == LOCAL:
        return
    if "://" in address:
        raise _of_another_kind(address)
    _reach(address)
    # -P: what lies in the user's folder, or beside the script, is imported by nobody.
    asked = _ask([sys.executable, "-P", str(SCRIPT), address])
    if amiss := trouble(asked) if asked else _silent():
        raise refusal(address, *amiss)


def _ask(command: Sequence[str]) -> "subprocess.CompletedProcess[str] | None":
    """The process when it has ended; None where it got no answer in its time, which runs from when it has begun."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as begun:
        process = subprocess.Popen(  # noqa: S603 (ours)
            [*command, str(writing)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[writing]
        )
        os.close(writing)
        select.select([begun], [], [], START_SECONDS)
    try:
        stdout, stderr = process.communicate(timeout=ASK_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _reach(address: str) -> None:
    """Raise Refusal where nothing listens at a host and port."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
        except (OSError, OverflowError, UnicodeError) as error:  # which a name of no letters is answered with
            raise refusal(address, on_one_line(error)) from error


def _of_another_kind(address: str) -> Refusal:
    """Ray's client server runs what it is sent elsewhere, and its job server takes whole commands."""
    return refusal(
        address,
        f"the address of Ray's {'client' if address.startswith('ray://') else 'job'} server",
        remedy="name the head's own port, 6379 as a rule, or hand the command over by `nightjar submit`",
    )


def trouble(asked: subprocess.CompletedProcess[str]) -> tuple[str, ...]:
    """What was found, and what was expected and the remedy where they are not as always; nothing where all is well."""
    if asked.returncode:
        is_token = "authentication token" in asked.stderr
        last = next(iter(asked.stderr.strip().splitlines()[-1:]), f"exit code {asked.returncode}")
        return _without_token() if is_token else (f"Ray fails as it asks: {on_one_line(last)}",)
    told = json.loads(asked.stdout.splitlines()[-1])
    match told["trouble"]:
        case "none_found":
            return ("no Ray node on this machine",)
        case "invalid":
            return (on_one_line(told["words"]),)
        case "token":
            return _wrong_token() if _has_token() else _without_token()
        case "silent":
            return _silent()
        case "versions":
            return _versions(told["ray"], told["python"])
        case "no_node":
            return (
                "a cluster of which this machine is no node",
                "a machine of the cluster: a command of Ray's speaks to the node beside it",
                "run the command on a node, or hand it over by `nightjar submit`",
            )
    return ()


def _silent() -> tuple[str, ...]:
    return (
        f"something that is no Ray head, or has not answered in {ASK_SECONDS:g} s",
        "the address of a Ray cluster that answers, as host:port",
        "name the port of the head's own server, 6379 as a rule, and not that of its dashboard",
    )


def _has_token() -> bool:
    """Where Ray looks for one, in token mode."""
    named, path = os.environ.get("RAY_AUTH_TOKEN", "").strip(), os.environ.get("RAY_AUTH_TOKEN_PATH")
    is_there = bool(named) or Path(path or "~/.ray/auth_token").expanduser().is_file()
    return is_there and os.environ.get("RAY_AUTH_MODE") == "token"


def _without_token() -> tuple[str, ...]:
    return ("a cluster that asks for a token, and none here", "the cluster's token", TOKEN_REMEDY)


def _wrong_token() -> tuple[str, ...]:
    return ("a cluster that refuses the token which is set here", "the cluster's token", TOKEN_REMEDY)


def _versions(ray: str, python: str) -> tuple[str, ...]:
    return (
        f"Ray {ray}, Python {python} at the head; Ray {version('ray')}, Python {platform.python_version()} here",
        "the same versions on all machines",
        "start the command and all nodes from one image, or install the same versions",
    )


def refusal(
    address: str,
    found: str,
    expected: str = "the address of a Ray cluster that answers, as host:port",
    remedy: str = REMEDY,
) -> Refusal:
    return Refusal(found=found, expected=expected, where=f"{WHERE}: {address}", remedy=remedy)
