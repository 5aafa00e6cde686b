"""The stages of a run seen together: which come from which, what they take over, and the controls beside them."""

from collections.abc import Sequence
from typing import Literal

from schemas.checking import derived
from schemas.days import spans
from schemas.errors import Refusal
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


def check_order(stages: Sequence[StageConfig], plan: Sequence[StageConfig]) -> None:
    """Raise Refusal unless each stage of the config starts from an earlier one, and each of the plan has its place."""
    earlier: dict[str, StageConfig] = {}
    for stage in stages:
        where = f"stages.{stage.name}"
        if stage.name in earlier:
            raise _misplaced(f"two stages are named {stage.name!r}", "a name of its own", where, "rename one")
        if stage.init_from in earlier:
            stage.check_layers(earlier[stage.init_from], stage.init_from)
        elif stage.init_from is not None and not stage.starts_from_model:
            raise _misplaced(
                f"stage {stage.name!r} starts from {stage.init_from!r}, which is no earlier stage",
                f"one of {', '.join(sorted(earlier)) or 'none: it is the first'}, or a registered model",
                f"{where}.init_from",
                "correct the name, or put that stage before this one",
            )
        earlier[stage.name] = stage
    names = [stage.name for stage in plan]
    for stage in plan:
        where = f"stages.{stage.name}"
        if names.count(stage.name) > 1:
            found = f"`control: true` adds a stage {stage.name!r}, which is there already"
            raise _misplaced(found, "another name", where, "rename that one")
        if stage.control_of is not None and stage.control_of not in names:
            found = f"stage {stage.name!r} is the control of {stage.control_of!r}, which is no stage"
            raise _misplaced(found, f"one of {', '.join(names)}", f"{where}.control_of", "correct the name")
        is_after = stage.control_of in names[: names.index(stage.name)]
        if stage.days == "affordable" and (stage.init_from is not None or not is_after):
            found = f"stage {stage.name!r} on affordable days"
            needed = "a control_of an earlier stage, which starts from none: its days are what that one's seconds buy"
            raise _misplaced(found, needed, f"{where}.days", "give it days of its own, as {last: 7}")


def _misplaced(found: str, expected: str, where: str, remedy: str) -> Refusal:
    return Refusal(found=found, expected=expected, where=where, remedy=remedy)
