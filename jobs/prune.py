"""`nightjar prune`: remove what no night needs any more."""

from typing import Annotated

import typer

from jobs.console import tell
from jobs.options import ConfigPath, Overrides
from jobs.places import load_config, require_work


def prune(
    config: ConfigPath,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    set_: Overrides = None,
) -> None:
    """Remove what `retention` lets go: checkpoints, encoded days, versions without an alias. Each night does, too.

    What serves, the model before it, and all that the next night starts from stay. Exits 3 while a night is at work.

    Example: `nightjar prune --config jobs/configs/nightly.yaml --dry-run`
    """
    loaded = load_config(config, set_)
    from pipeline.nights import prune
    from pipeline.registry.tracking import require

    require_work(loaded)
    tracking = require(loaded.mlflow, loaded.work_uri)
    if dry_run:
        found = prune.leaving(loaded, tracking)
        for one in found:
            tell(f"would go  {in_mb(one.num_bytes)}  {one.name}: {one.why}", indent=10)
    else:
        with prune.alone(loaded) as lease:
            found = prune.leaving(loaded, tracking)
            for one in found:
                if lease:
                    lease.check()
                prune.remove(loaded, tracking, one)
                tell(f"gone  {in_mb(one.num_bytes)}  {one.name}: {one.why}", indent=6)
    words = "would go" if dry_run else "gone"
    print(f"{words}: {in_mb(sum(one.num_bytes or 0 for one in found)).strip()} of {len(found)} things")


def in_mb(num_bytes: int | None) -> str:
    return f"{(num_bytes or 0) / 1e6:10,.3f} MB"
