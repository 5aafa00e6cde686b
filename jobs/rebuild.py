"""`nightjar rebuild`: a champion without the values that are seen no more."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from jobs.console import ProgressView, result_console, tell
from jobs.event_lines import Form
from jobs.options import ConfigPath, Log, Overrides
from jobs.places import load_config
from jobs.tables import print_table


def rebuild(config: ConfigPath, set_: Overrides = None, log: Log = Form.TEXT) -> None:
    """Drop values of the champion's vocabulary that are rare and were not seen for `night.eviction.unseen_days`.

    Ids are given anew and rows carried over. The smaller model serves if the gate finds it no worse than the champion
    on the newest complete day.

    Example: `nightjar rebuild --config jobs/configs/nightly.yaml --set night.eviction.unseen_days=14`
    """
    loaded = load_config(config, set_)
    from pipeline.nights.rebuild import rebuild as run

    with ProgressView(log) as show:
        rebuilt = run(loaded, show)
    evicted = rebuilt.evicted
    table = Table(box=SIMPLE_HEAD)
    table.add_column("field")
    for heading in ("values before", "dropped", "kept"):
        table.add_column(heading, justify="right")
    for field in evicted.fields:
        table.add_row(field.name, f"{field.before:,}", f"{field.before - field.after:,}", f"{field.after:,}")
    print_table(result_console(), table)
    if rebuilt.decision is None:
        print("nothing to drop: the champion stays as it is")
    else:
        decision = rebuilt.decision
        tell(f"{decision.version.uri} is {decision.alias}: {decision.verdict.reason}")
