"""`nightjar serve`: a model that answers rows over HTTP, on this machine."""

from typing import Annotated

import typer

from jobs.options import ModelUri
from jobs.ports import require_free
from schemas.config import MLflowConfig
from schemas.errors import INTERRUPTED, Failure
from schemas.features import Objective
from schemas.locations import absolute
from schemas.redaction import redacted

SAYS: dict[Objective, str] = {
    "binary": "probability",
    "multiclass": "probabilities, one a class",
    "regression": "number",
}


def serve(
    model: ModelUri,
    work: Annotated[str, typer.Option(help="Work folder of the runs, `work_uri` of their config.")] = ".nightjar",
    port: Annotated[int, typer.Option(help="Port on the loopback address.", min=1, max=65535)] = 5002,
) -> None:
    """Answer rows of the log with what a model says of them, by MLflow's scoring server, to this machine only.

    The model's files are checked as at any load. It prints a line for curl once it answers. Stop it with Ctrl-C.

    Example: `nightjar serve --model models:/ctr@champion`
    """
    from pipeline.registry import model_uri, serving

    require_free(port)
    config, place = MLflowConfig(), absolute(work)
    tracking = model_uri.where_registered(model, config, place)
    version = model_uri.pinned(tracking, model)
    with model_uri.fetched(tracking, version) as (folder, bundle):
        line = serving.curl(bundle, port)
        try:
            with serving.served(folder, port) as process:
                says = SAYS[bundle.spec.objective]
                print(f"{redacted(version)} on http://{serving.HOST}:{port}, until Ctrl-C; a row's {says}:\n")
                print(f"  {line}\n", flush=True)
                ended = process.wait()
        except SystemExit as stopped:
            if stopped.code != INTERRUPTED:
                raise
            return
    raise Failure(f"the scoring server has ended by itself, with exit code {ended}")
