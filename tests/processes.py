"""Real servers for tests, each in a process group of its own, and one that hangs up."""

import contextlib
import http.server
import os
import random
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight more processes, of which nothing here has any use
}
BELOW_THOSE_OF_THE_KERNEL = range(20_000, 32_000)


def free_port() -> int:
    """Nobody listens there, and the kernel gives it to nobody: those that it draws from lie above."""
    for port in random.SystemRandom().sample(BELOW_THOSE_OF_THE_KERNEL, 100):
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def served(command: list[str], port: int, cwd: Path) -> contextlib.AbstractContextManager[str]:
    """`mlflow ...` on that port."""
    return running(["mlflow", *command, "--host", "127.0.0.1", "--port", str(port)], port, cwd)


@contextlib.contextmanager
def running(command: list[str], port: int, cwd: Path) -> Iterator[str]:
    """Starts `python -m ...`, waits until it is healthy on that port, and kills it at the end."""
    with (cwd / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env={**os.environ, **QUIET, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(300):
            assert process.poll() is None, (cwd / "server.log").read_text()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def hanging_up() -> Iterator[tuple[str, list[str]]]:
    """The URI of a server that hears each request out and ends the connection, and what it has been asked."""
    requests: list[str] = []

    def hear(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    requests.append(connection.recv(4096).decode("latin-1").partition("\r\n")[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        hearing = threading.Thread(target=hear, args=(listener,), daemon=True)
        hearing.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        listener.shutdown(socket.SHUT_RDWR)
        hearing.join()


@contextlib.contextmanager
def answering(status: int, text: str) -> Iterator[str]:
    """The URI of a server that answers every request so."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as served:
        threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


class Relay(socketserver.ThreadingTCPServer):
    """A port of its own before a server's on this machine; when it is cut, the server is gone for who went by it."""

    allow_reuse_address = True

    def __init__(self, to_port: int, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Copy)
        self.to_port, self.is_cut = to_port, threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def cut(self) -> None:
        self.is_cut.set()
        self.shutdown()
        self.server_close()  # waits for the connections to end


class _Copy(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.to_port)) as server:
            other = {self.request: server, server: self.request}
            while not self.server.is_cut.is_set():
                for side in select.select(list(other), [], [], 0.02)[0]:
                    sent = side.recv(65536)
                    if not sent:
                        return
                    other[side].sendall(sent)
