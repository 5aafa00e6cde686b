"""The stages of a run seen together: which come from which, what they take over, and the controls beside them."""

from collections.abc import Sequence
from typing import Literal

from schemas.checking import derived
from schemas.days import spans
from schemas.stage import StageConfig


def lineages(stages: Sequence[StageConfig]) -> dict[str, tuple[str, ...]]:
    """Stage -> the earlier stages that it comes from, the one that it starts from first."""
    found: dict[str, tuple[str, ...]] = {}
    for stage in stages:
        origin = stage.init_from
        found[stage.name] = (origin, *found[origin]) if origin in found else ()
    return found


def seen_by(stages: Sequence[StageConfig]) -> dict[str, tuple[str, ...]]:
    """Stage -> those that it comes from which learn of days that it learns of as well: they know its rows' labels."""
    own = spans({stage.name: stage.days for stage in stages})
    return {
        name: tuple(one for one in earlier if own[one].overlaps(own[name]))
        for name, earlier in lineages(stages).items()
    }


def resolved(stages: Sequence[StageConfig]) -> tuple[StageConfig, ...]:
    """The stages with all that they take over said, by their days. Raises Refusal for days that cannot be."""
    seen, earlier = seen_by(stages), lineages(stages)
    from_model = {stage.name for stage in stages if stage.starts_from_model}
    return tuple(
        stage.model_copy(
            update={
                "transfer": stage.transfer.resolved(
                    has_seen_the_rows=bool(seen[stage.name])
                    or not from_model.isdisjoint([stage.name, *earlier[stage.name]])
                )
            }
        )
        for stage in stages
    )


def controls_of(stage: StageConfig, wanted: bool | Literal["all"]) -> tuple[StageConfig, ...]:
    """The same net from random rows, on days that the time buys, and for `all` on the stage's own; of a first none."""
    if stage.init_from is None or not wanted:
        return ()
    affordable = derived(
        stage,
        name=f"{stage.name}-control",
        model="dnn" if stage.model == "fnn" else stage.model,
        init_from=None,
        days="affordable",
        embedding=stage.control.embedding or derived(stage.embedding, frozen_steps=0),
        optimizer=stage.control.optimizer or stage.optimizer,
        control_of=stage.name,
    )
    alone = derived(affordable, name=f"{stage.name}-alone", days=stage.days)
    return (affordable, alone) if wanted == "all" else (affordable,)
