"""What the trials of a sweep are told: their configs, the rows, and the stages that all of them start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from math import ceil

from pipeline.data.store import Store
from pipeline.sweep.outcome import Look
from pipeline.training.rank import Rank
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.stage import EarlyStopConfig, StageConfig
from schemas.sweep import Trial, lineage, owner

SEEDS = 2**31  # that a config may have
LOOKS = 8  # at the validation rows, in a stage that does not say how often
NEVER = 1_000_000  # looks of patience: the sweep alone stops the stage


Attempt = tuple[int, int]
"""A trial's number, and the place of the seed that it is trained with: 0 of the config's own."""


@dataclass(frozen=True, slots=True)
class Task:
    """What trials are told; `shared` are the stages that all of them start from, published under `shared_uri`."""

    stage: str
    configs: Mapping[int, TrainConfig]
    store: Store
    uri: str
    shared: tuple[StageConfig, ...]

    @property
    def shared_uri(self) -> str:
        return f"{self.uri}/shared"

    def trial_uri(self, number: int) -> str:
        return f"{self.uri}/trials/{number}"

    def logits_uri(self, number: int) -> str:
        """Where a trial keeps the logits of the validation rows as of its best look, with the first seed."""
        return f"{self.uri}/logits/{number}"

    def of_seeds(self, count: int) -> "dict[int, Task]":
        """Itself, and the same trials with the seeds after the config's, each in a folder of its own.

        Rows stay as the config's own seed has encoded and split them.
        """
        tasks = {0: self}
        for place in range(1, count):
            one = {
                number: derived(config, seed=(config.seed + place) % SEEDS) for number, config in self.configs.items()
            }
            tasks[place] = replace(self, configs=one, uri=f"{self.uri}/seeds/{place}")
        return tasks

    def has_ended(self, number: int, looks: Sequence[Look]) -> bool:
        """Whether a trial of these looks has come to its end by itself, by the last step or its own early stop."""
        early_stop = lineage(self.configs[number], self.stage)[-1].early_stop
        assert early_stop is not None
        best = min(range(len(looks)), key=lambda i: looks[i].ne, default=0)
        return len(looks) == self.num_looks(number) or len(looks) - 1 - best >= early_stop.patience

    def num_looks(self, number: int) -> int:
        """How often a trial looks that nothing stops."""
        stage = lineage(self.configs[number], self.stage)[-1]
        rank = Rank(self.configs[number], self.store, "").on_rows_of(stage)
        assert stage.early_stop is not None
        every = max(1, round(stage.early_stop.every_epochs * rank.steps_per_epoch(stage)))
        return ceil(rank.num_steps(stage) / every)

    @classmethod
    def of(cls, stage: str, trials: Sequence[Trial], store: Store, uri: str) -> "Task":
        """The task of the trials whose drawn config holds."""
        configs = {one.number: with_looks(one.config, stage) for one in trials if one.config}
        return cls(stage, configs, store, uri, shared_stages(list(configs.values()), stage))


def with_looks(config: TrainConfig, name: str) -> TrainConfig:
    """The config whose stage looks at the validation rows: as it says itself, else LOOKS times, without ever stopping.

    Trials are compared at the same look, and so after the same share of their schedules: at the same step one of more
    epochs, whose learning rate has fallen less, would look worse than it is.
    """
    stage = lineage(config, name)[-1]
    if stage.early_stop:
        return config
    early_stop = EarlyStopConfig(every_epochs=stage.epochs / LOOKS, patience=NEVER)
    of_name = {stage.name: stage for stage in config.stages}
    of_name[owner(config, name)] = derived(of_name[owner(config, name)], early_stop=early_stop)
    return derived(config, stages=tuple(of_name.values()))


def shared_stages(configs: Sequence[TrainConfig], name: str) -> tuple[StageConfig, ...]:
    """The first of the stages before that one: those that every trial would train alike."""
    if any(config.table != configs[0].table for config in configs):
        return ()
    earlier = zip(*(lineage(config, name)[:-1] for config in configs), strict=False)
    return tuple(stages[0] for stages in takewhile(lambda stages: stages.count(stages[0]) == len(stages), earlier))
