"""`nightjar rollback`: let the champion before the last one serve again."""

from datetime import UTC, datetime

from jobs.options import ConfigPath, Overrides
from jobs.places import load_config, require_work


def rollback(config: ConfigPath, set_: Overrides = None) -> None:
    """Let `champion` and `previous_champion` change places; a second call takes the first one back.

    The next night goes on from the champion that serves then.

    Example: `nightjar rollback --config jobs/configs/nightly.yaml`
    """
    loaded = load_config(config, set_)
    from pipeline.nights import records
    from pipeline.nights.records import Move
    from pipeline.registry import versions
    from pipeline.registry.opening import user
    from pipeline.registry.tracking import require
    from pipeline.retrain import leasing

    require_work(loaded)
    tracking = require(loaded.mlflow, loaded.work_uri)
    with leasing.lease_of(loaded, "rollback") as lease:
        lease.check()
        now, before = versions.rollback(tracking, loaded.mlflow.registered_model)
        records.moved(loaded, Move(datetime.now(UTC), "rollback", before.uri, now.uri, user()))
    print(f"{now.uri} serves again; {before.uri} is the previous champion")
