"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.event_lines import Form

ConfigPath = Annotated[Path, typer.Option("--config", help="YAML file; see jobs/configs.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key of the config: a.b=c. May be given several times.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
Log = Annotated[
    Form,
    typer.Option("--log", envvar="NIGHTJAR_LOG", show_envvar=False, help="Progress as text, or a JSON object a line."),
]
ModelUri = Annotated[
    str, typer.Option("--model", help="models:/ctr@champion, models:/ctr/3, models:/<id>, runs:/..., or a folder.")
]
