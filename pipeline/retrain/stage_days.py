"""Which days each stage of a plan learns from, and in words which of their rows it meets for the second time."""

from collections.abc import Iterator, Sequence
from datetime import date

from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.plan import lineages
from schemas.stage import StageConfig


def require(config: TrainConfig, train_days: Sequence[date]) -> None:
    """Raise Refusal where these days leave a stage of the plan none."""
    for stage in config.plan:
        span = config.span_of(stage)
        if not span.of(train_days):
            raise Refusal(
                found=f"{len(train_days)} training days, {train_days[0]} to {train_days[-1]}, and none of them before "
                f"the newest {span.newest}",
                expected=f"at least one for stage {stage.name!r}",
                where=f"stages.{stage.name}.days",
                remedy="train on more days, or give fewer to the stages that come after it",
            )


def seen_before(config: TrainConfig, train_days: Sequence[date], learned_before: Sequence[date]) -> tuple[str, ...]:
    """A sentence for each stage that comes from what has seen the labels of its rows, and so takes over known answers.

    `learned_before` are the days of the registered model that stages may start from.
    """
    earlier = lineages(config.stages)
    of_name = {stage.name: stage for stage in config.stages}
    return tuple(
        f"rows of {stage.name}: {_listed(seen)} seen their labels; {stage.name} takes over {stage.transfer.in_words()}"
        for stage in config.stages
        if (
            seen := list(
                _who([stage, *(of_name[one] for one in earlier[stage.name])], config, train_days, learned_before)
            )
        )
    )


def _who(
    chain: Sequence[StageConfig], config: TrainConfig, train_days: Sequence[date], learned_before: Sequence[date]
) -> Iterator[str]:
    """Those of a stage, which is the first of the chain, and of what it comes from that have learned of its days."""
    own = set(config.span_of(chain[0]).of(train_days))
    for one in chain[1:]:
        if not own.isdisjoint(config.span_of(one).of(train_days)):
            yield one.name
    origin = chain[-1]
    if origin.init_from and origin.starts_from_model and not own.isdisjoint(learned_before):
        yield origin.init_from


def _listed(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'have' if names[1:] else 'has'}"
