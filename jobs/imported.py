"""What the verbs of `nightjar import` share: their files are looked for, and what they came to is told."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.console import ProgressView, tell
from jobs.places import program, typed
from pipeline.runtime import files
from schemas.cluster import ClusterConfig
from schemas.locations import absolute

if TYPE_CHECKING:
    from pipeline.intake.importing import Import, Outcome
    from pipeline.intake.sources import Source


def sources_of(src: Sequence[str], out: str) -> "tuple[Source, ...]":
    """The files to import, as they are typed. Raises Refusal for what is none, and for no folder in `out`."""
    files.require_usable(absolute(out), "--out")
    from pipeline.intake import sources

    return tuple(sources.find([absolute(place) for place in src]))


def run(job: "Import") -> None:
    """Import, tell what came of it, and what comes next."""
    from pipeline.intake import importing
    from pipeline.runtime import cluster
    from pipeline.runtime.storage import SameFile, SharedFolder

    needs = [SameFile("SRC", job.sources[0].uri), SharedFolder("--out", job.logs_uri)]
    with ProgressView() as view, cluster.of_command(ClusterConfig(), needs):
        outcome = importing.run(job, view)
    days = list(outcome.rows)
    told = "is there already" if outcome.was_there else "imported"
    first_to_last = days[0] if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
    tell(f"{sum(outcome.rows.values()):,} rows of {first_to_last} {told}, in {typed(job.logs_uri)}")
    if outcome.num_bad:
        tell(f"{outcome.num_bad:,} lines left out, with the reason of each in {typed(importing.quarantine_uri(job))}")
    _tell_what_next(job, outcome)


def _tell_what_next(job: "Import", outcome: "Outcome") -> None:
    """Write a config beside the log, or here where that is remote; nothing that is there is replaced.

    Of columns that nobody has described `init` does.
    """
    spec = job.form.spec
    if spec is None:
        tell("Next, unless there is a config that reads it:")
        label = f" --label {job.form.label}" if job.form.label else ""
        tell(f"  {program()} init {typed(job.logs_uri)} --out my.yaml{label}")
        return
    from pipeline.intake import first_config

    folder, _, name = job.logs_uri.rpartition("/")
    folder, logs = (absolute("."), job.logs_uri) if files.is_remote(job.logs_uri) else (folder, name)
    config, stay = first_config.write(job.form.name, spec, folder, logs, outcome.rows)
    for uri in stay:
        tell(f"{typed(uri)} is there already and stays as it is")
    tell("Next, train on it:")
    tell(f"  {program()} train --config {typed(config)}")
