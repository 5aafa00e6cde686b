"""Which job server is meant: as an option says, or a variable of Ray's, or on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from schemas.errors import Refusal
from schemas.redaction import redacted, remember

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


def chosen(option: str | None) -> str:
    """Raises Refusal for what is no URL. An option goes before variables, which Ray's own client has the other way."""
    address = option or next((os.environ[name] for name in VARIABLES if os.environ.get(name)), DEFAULT_ADDRESS)
    remember(address)
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or address in ("auto", "local"):
        raise wrong(address, redacted(address))
    return url.rstrip("/")


@contextmanager
def without_variables() -> Iterator[None]:
    """Ray's client lets these variables overrule what it is told."""
    before = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def wrong(address: str, found: str) -> Refusal:
    """Of an address at which no job server answers."""
    return Refusal(
        found=found,
        expected="the address of Ray's dashboard, as http://head:8265",
        where=f"--address, {' or '.join(VARIABLES)}: {redacted(address)}",
        remedy="correct the address, or start the cluster with its dashboard",
    )
