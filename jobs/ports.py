"""The address and the port that a verb serves on, to this machine only."""

import socket
from contextlib import suppress

from schemas.errors import Refusal

LOOPBACK = "127.0.0.1"


def require_free(port: int) -> None:
    """Raise Refusal for a port that the server could not listen on, which it would tell at the end of a traceback."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        raise Refusal(
            found=f"port {port}: {(error.strerror or str(error)).lower()}",
            expected=f"a port of {LOOPBACK} that nobody listens on, and that you may",
            where="--port",
            remedy=f"--port {_free_after(port)} is free; or end what listens there, an earlier `nightjar ui` perhaps",
        ) from error


def _free_after(port: int) -> int:
    """The next one, or where all that follow are taken, whichever is given."""
    for candidate in (*range(max(port, 1023) + 1, min(port + 100, 65536)), 0):
        with suppress(OSError), socket.create_server((LOOPBACK, candidate)) as listener:
            return int(listener.getsockname()[1])
    return 0
