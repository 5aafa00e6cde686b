"""`nightjar doctor`: whether every node of a cluster can do what a config will want of it."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import result_console
from jobs.options import AsJson, ConfigPath, Overrides
from jobs.places import load_config
from jobs.tables import print_table
from schemas.redaction import redacted, redacted_tree

if TYPE_CHECKING:
    from pipeline.retrain.doctor import Examination, Found


def doctor(config: ConfigPath, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Look over every node: versions, the work folder, the log, MLflow and its artifacts, room, clock, credentials.

    Each is tried from the node itself, by the name that the config has for it, and nothing of it stays. Exits 0 where a
    training could begin, else 2 with what stands in its way.

    Example: `nightjar doctor --config jobs/configs/demo.yaml --set cluster.address=head:6379`
    """
    loaded = load_config(config, set_)
    from pipeline.retrain import doctor
    from pipeline.runtime import cluster

    with cluster.connected(loaded.cluster, None):
        examined = doctor.examine(loaded)
    print_examined(examined, result_console(stderr=as_json))
    if as_json:
        print(in_json(examined))
    if examined.refusals:
        raise doctor.summary(examined.refusals)


def print_examined(examined: "Examination", console: Console) -> None:
    table = Table(box=SIMPLE_HEAD)
    names = list(examined.nodes[0].checks) if examined.nodes else []
    for heading in ("node", "runs", *names, "clock", "ranks", "credentials"):
        table.add_column(heading, justify="right" if heading in ("clock", "ranks") else "left")
    for found in examined.nodes:
        table.add_row(*map(redacted, _cells(found)))
    print_table(console, table)
    for refusal in examined.refusals:
        console.print(redacted(f"{refusal.where}: {refusal.found}\n  {refusal.remedy}"), highlight=False)


def in_json(examined: "Examination") -> str:
    return json.dumps(
        {
            "nodes": [redacted_tree(asdict(found)) for found in examined.nodes],
            "refusals": [
                {key: redacted(getattr(one, key)) for key in ("found", "expected", "where", "remedy")}
                for one in examined.refusals
            ],
        }
    )


def _cells(found: "Found") -> list[str]:
    ahead = found.clock_ahead_seconds
    return [
        str(found.node),
        found.versions,
        *("no" if why else "yes" for why in found.checks.values()),
        "?" if ahead is None else f"{ahead:+.1f} s",
        f"{found.ranks}{' + reader' * found.reads}",
        ", ".join(f"{name}: {kind}" for name, kind in found.credentials.items()),
    ]
