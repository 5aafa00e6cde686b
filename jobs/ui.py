"""`nightjar ui`: the MLflow pages over the local store."""

import os
import sys
from typing import Annotated

import typer

from schemas.config import MLflowConfig
from schemas.errors import Refusal
from schemas.locations import absolute
from schemas.redaction import redacted


def ui(
    work: Annotated[str, typer.Option(help="Work folder of the runs, `work_uri` of their config.")] = ".nightjar",
    port: Annotated[int, typer.Option(help="Port on the loopback address.", min=1, max=65535)] = 5000,
) -> None:
    """Serve the MLflow pages over the local store, to this machine only. Stop with Ctrl-C.

    Example: `nightjar ui --port 5001`
    """
    from pipeline.registry import server
    from pipeline.registry.tracking import require

    work = absolute(work)
    uri = server.resolve_uri(MLflowConfig(), work)
    if uri.startswith("http"):
        raise Refusal(
            found=f"MLFLOW_TRACKING_URI={redacted(uri)}, a server",
            expected="a database to serve the pages of",
            where="--work",
            remedy="open that address in a browser, or unset MLFLOW_TRACKING_URI",
        )
    require(MLflowConfig(), work)
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    # One worker serves one reader; several start slowly, and on a busy machine are taken for dead before they have.
    command += ["--artifacts-destination", f"{work}/mlartifacts", "--workers", "1"]
    # Not as an argument: whoever is on this machine can read a command, and nobody else an environment.
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri
    # Its job runners, eight processes for language models' scorers and prompts, would find nothing to do here.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    print(f"MLflow on http://127.0.0.1:{port}, over {redacted(uri)}", file=sys.stderr, flush=True)
    os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606 (no shell; all arguments are ours)
