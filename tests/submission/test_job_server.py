"""What may answer in the place of a cluster's job server, each refused in four lines."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from processes import hanging_up

from pipeline.submission.job_server import JobServer
from pipeline.submission.server_address import chosen
from schemas.errors import Refusal


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """The address of a server that answers every request so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def refusal_of(address: str) -> Refusal:
    with pytest.raises(Refusal) as refused:
        JobServer(address)
    assert str(refused.value).isascii()
    assert len(str(refused.value).splitlines()) == 4
    return refused.value


@pytest.mark.slow
@pytest.mark.parametrize("address", ["http://.", "http://a..b:8265"])
def test_a_host_of_a_job_server_that_there_cannot_be_is_refused(address):
    with pytest.raises(Refusal, match="found"):
        JobServer(address)


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, "<html>another's page</html>", "something that is no job server of Ray's"),
        (200, '{"status": "ok"}', "something that is no job server of Ray's"),
        (404, "\x00\x1b[31m\u4e16\n\n", "something that is no job server of Ray's"),
        (502, "Bad Gateway", "something that is no job server of Ray's"),
        (200, json.dumps({"ray_version": "2.59.1"}), "Ray 2.59.1 on the cluster"),
        (401, "Unauthorized: Missing authentication token", "no token, where the cluster wants one"),
        (403, "Forbidden: Invalid authentication token", "a token that the cluster does not take"),
    ],
    ids=["a page", "another service", "odd signs", "a gateway", "another version", "no token", "a wrong token"],
)
def test_what_answers_in_the_place_of_a_job_server_is_refused_in_four_lines(status, body, found):
    with answering(status, body) as address:
        assert refusal_of(address).found.startswith(found)


@pytest.mark.slow
def test_a_server_that_hangs_up_is_refused_in_four_lines():
    with hanging_up() as (address, _):
        assert refusal_of(address).found.startswith("something that is no job server of Ray's")


@pytest.mark.slow
def test_without_the_extra_the_refusal_says_what_to_install():
    with answering(200, "") as address:
        code = (
            "import sys; sys.modules['aiohttp'] = None\n"
            "from pipeline.submission.job_server import JobServer\n"
            f"JobServer({address!r})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'nightjar[cluster]'" in done.stderr


def test_the_address_of_the_option_goes_before_those_of_the_shell(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    assert chosen(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_ADDRESS", "head:8265")
    assert chosen(None) == "http://head:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://ray.example/")
    assert chosen(None) == "https://ray.example"
    assert chosen("http://other:8265") == "http://other:8265"
