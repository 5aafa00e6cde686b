"""Answers rows by the champion, and takes the next one as soon as MLflow says that the alias has moved.

    WEBHOOK_SECRET=... MLFLOW_TRACKING_URI=https://mlflow.example.com python follow_champion.py ctr 8090

POST /champion-moved  MLflow's webhook
POST /score           rows of the log as a JSON list of objects; the answers, and the version that gave them
GET  /health          the version that serves

An example to copy: it listens on this machine alone, behind whatever has your certificate.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import mlflow
import pandas as pd

ALIAS = "champion"
LOOK_SECONDS = 600.0  # MLflow sends a message four times at most, and then never again
OLDEST_SECONDS = 300.0  # of a message: who has overheard one cannot send it again for ever
MAX_BYTES = 10_000_000


class Champion:
    """The version that serves; the next one is loaded beside it, and takes its place whole."""

    def __init__(self, name: str) -> None:
        self.name, self.moved = name, threading.Event()
        self.serving: tuple[str, Any] = ("", None)

    def load(self) -> None:
        version = str(mlflow.MlflowClient().get_model_version_by_alias(self.name, ALIAS).version)
        if version != self.serving[0]:  # not by its alias, which may have moved again
            self.serving = version, mlflow.pyfunc.load_model(f"models:/{self.name}/{version}")
            print(f"version {version} of {self.name} serves", flush=True)

    def follow(self) -> None:
        """Load what `champion` names whenever it is said to have moved, and from time to time; else all stays."""
        while True:
            self.moved.wait(LOOK_SECONDS)
            self.moved.clear()
            try:
                self.load()
            except Exception as error:
                print(f"version {self.serving[0]} goes on serving: {error}", file=sys.stderr, flush=True)


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether who knows the secret has sent it, lately (https://www.standardwebhooks.com)."""
    sent, delivery = headers.get("X-MLflow-Timestamp", ""), headers.get("X-MLflow-Delivery-Id", "")
    if not sent.isdecimal() or abs(now - int(sent)) > OLDEST_SECONDS:
        return False
    digest = hmac.new(secret.encode(), f"{delivery}.{sent}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return hmac.compare_digest(signature.encode(), headers.get("X-MLflow-Signature", "").encode())


class Handler(BaseHTTPRequestHandler):
    champion: Champion
    secret: str

    def do_GET(self) -> None:
        self.answer(200, {"version": self.champion.serving[0]})

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > MAX_BYTES:
            self.answer(413, {"error": f"more than {MAX_BYTES:,} bytes"})
            return
        body = self.rfile.read(size)
        if self.path == "/champion-moved":
            self.hear(body)
        elif self.path == "/score":
            self.score(body)
        else:
            self.answer(404, {"error": "no such path"})

    def hear(self, body: bytes) -> None:
        if not is_genuine(self.secret, self.headers, body, time.time()):
            self.answer(401, {"error": "not signed with the secret, or too old"})
            return
        data = json.loads(body)["data"]  # a promotion moves `challenger` and `previous_champion`, too
        if (data.get("name"), data.get("alias")) == (self.champion.name, ALIAS):
            self.champion.moved.set()
        self.answer(200, {})  # at once: MLflow does not wait for a model to be loaded

    def score(self, body: bytes) -> None:
        version, model = self.champion.serving
        try:
            rows = model.predict(pd.DataFrame(json.loads(body)))
        except Exception as error:
            self.answer(400, {"error": str(error)})
            return
        self.answer(200, {"version": version, "predictions": rows.to_dict("records")})

    def answer(self, status: int, what: dict[str, Any]) -> None:
        content = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(name: str, port: int) -> None:
    champion = Champion(name)
    champion.load()
    threading.Thread(target=champion.follow, daemon=True).start()
    Handler.champion, Handler.secret = champion, os.environ["WEBHOOK_SECRET"]
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
