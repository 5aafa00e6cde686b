"""What the verbs of `nightjar import` share: their files are looked for, and what they came to is told."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.console import ProgressView, tell
from jobs.places import program, typed
from pipeline.runtime import files, writable
from schemas.cluster import ClusterConfig
from schemas.errors import Refusal
from schemas.locations import absolute
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.intake.importing import Import
    from pipeline.intake.sources import Source


def sources_of(src: Sequence[str], out: str) -> "tuple[Source, ...]":
    """The files to import, as they are typed. Raises Refusal for what is none, and for no folder in `out`."""
    writable.require(absolute(out), "--out")
    from pipeline.intake import sources

    places = [absolute(place) for place in src]
    for place in places:
        files.require_usable(place, "SRC", "folder" if files.is_remote(place) else "file")
    return tuple(sources.find(places))


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
    _write_config(job)


def _write_config(job: "Import") -> None:
    """Write a config and its spec beside the log, or tell why not, and what comes next."""
    from pipeline.intake import first_config

    try:
        written = first_config.write(job.form, job.logs_uri)
    except Refusal as refusal:
        tell(f"No config is written for it: {redacted(refusal.found)}; {redacted(refusal.remedy)}")
        tell("Next, unless there is a config that reads it:")
        label = job.form.label or "COLUMN"
        tell(f"  {program()} init {typed(job.logs_uri)} --label {shlex.quote(label)} --out my.yaml")
        return
    for path in written.old:
        tell(f"{typed(str(path))} is there already and stays as it is")
    if written.new:
        guessed = "" if job.form.spec else ", guessed from the rows: look them over"
        are = "is" if len(written.new) == 1 else "are"
        tell(f"{' and '.join(typed(str(path)) for path in written.new)} {are} written{guessed}")
    tell("Next, train on it:")
    tell(f"  {program()} train --config {typed(str(written.config))}")
