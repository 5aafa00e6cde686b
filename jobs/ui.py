"""`nightjar ui`: the MLflow pages over the local store."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from jobs import browser
from jobs.ports import LOOPBACK, require_free
from schemas.config import MLflowConfig
from schemas.errors import Refusal
from schemas.locations import absolute
from schemas.redaction import redacted


def ui(
    work: Annotated[str, typer.Option(help="Work folder of the runs, `work_uri` of their config.")] = ".nightjar",
    port: Annotated[int, typer.Option(help="Port on the loopback address.", min=1, max=65535)] = 5000,
) -> None:
    """Serve the MLflow pages over the local store, to this machine only, and print the address to begin with.

    On a terminal, Enter opens it in a browser. Stop with Ctrl-C.

    Example: `nightjar ui --port 5001`
    """
    from pipeline.registry import server, views
    from pipeline.registry.tracking import require

    work = absolute(work)
    uri = server.resolve_uri(MLflowConfig(), work)
    if uri.startswith("http"):
        raise Refusal(
            found=f"MLFLOW_TRACKING_URI={redacted(uri)}, a server",
            expected="a database to serve the pages of",
            where="--work",
            remedy=f"open {redacted(views.page(uri, ''))}, or unset MLFLOW_TRACKING_URI",
        )
    tracking = require(MLflowConfig(), work)
    require_free(port)
    page = views.newest_page(tracking, f"http://{LOOPBACK}:{port}")
    command = ["mlflow", "server", "--host", LOOPBACK, "--port", str(port)]
    # One worker serves one reader; several start slowly, and on a busy machine are taken for dead before they have.
    command += ["--artifacts-destination", f"{work}/mlartifacts", "--workers", "1"]
    # Not as an argument: whoever is on this machine can read a command, and nobody else an environment.
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri
    # Its job runners, eight processes for language models' scorers and prompts, would find nothing to do here.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    print(f"MLflow over {redacted(uri)}, on\n  {page}", file=sys.stderr, flush=True)
    if sys.stdin.isatty() and sys.stderr.isatty():
        # Beside the server, which this process becomes.
        subprocess.Popen([sys.executable, "-P", browser.__file__, page])  # noqa: S603 (our own)
    os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606 (no shell; all arguments are ours)
