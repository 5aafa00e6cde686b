"""A retrain between its steps: ready to begin, and with its stages trained."""

from dataclasses import dataclass, field

from pipeline.data.store import Store
from pipeline.evaluation.intervals import Bounds
from pipeline.evaluation.row_sums import Constant
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from pipeline.retrain import disk, warm_start
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.disk import DiskNeed
from schemas.config import TrainConfig
from schemas.stage import StageConfig


@dataclass(frozen=True, slots=True)
class Prepared:
    """A retrain that nothing stands in the way of: its config, with the models pinned that stages start from."""

    config: TrainConfig
    inputs: Inputs
    bundles: dict[str, Bundle]
    tracking: Tracking
    left_open: tuple[str, ...] = ()
    """A sentence for each stage whose config left to its rows how it is trained."""

    @property
    def new_fields(self) -> tuple[str, ...]:
        """Those that the models do not know which stages start from."""
        known = warm_start.vocabulary_of(self.bundles)
        return warm_start.new_fields(known.spec, self.config.data.features) if known else ()

    @property
    def run_uri(self) -> str:
        return f"{self.config.work_uri}/runs/{self.inputs.identity}"

    @property
    def disk_need(self) -> DiskNeed:
        known = warm_start.vocabulary_of(self.bundles)
        return disk.need(self.config, self.inputs, self.config.plan, known.num_ids if known else None)


@dataclass(frozen=True, slots=True)
class Trained:
    """Its stages are published under its `run_uri`, but for the failed ones."""

    prepared: Prepared
    store: Store
    failures: dict[str, str]
    """Stage -> why it could not be trained."""
    results: dict[str, dict[str, float]]
    """Stage -> final figures."""
    lifts: tuple[str, ...]
    seen_before: tuple[str, ...] = ()
    intervals: dict[str, dict[str, Bounds]] = field(default_factory=dict)
    """Stage or baseline -> metric -> what the held-out rows tell it by."""
    constant: Constant | None = None
    """Of the rows trained on, before negatives are left away: what needs no model."""
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def best(self) -> StageConfig:
        """The stage of the lowest held-out NE; none of those whose days go by the clock of this machine."""
        of_name = {stage.name: stage for stage in self.prepared.config.plan}
        fit = [name for name in self.results if of_name[name].days != "affordable"]
        return of_name[min(fit, key=lambda name: self.results[name]["ne"])]

    @property
    def rows_seen(self) -> int:
        """Rows that steps were taken by, over all stages and passes."""
        return int(sum(results["rows_seen"] for results in self.results.values()))

    @property
    def rows_trained(self) -> int:
        """Rows of the log that stages went over, each once. Controls on days that time buys are not asked."""
        config, parts = self.prepared.config, self.store.of_split("train")
        of_log = sorted({part.day for part in parts})
        stages = [stage for stage in config.plan if stage.name in self.results and stage.days != "affordable"]
        days = {day for stage in stages for day in config.span_of(stage).of(of_log)}
        return min(self.rows_seen, sum(self.store.num_read(part) for part in parts if part.day in days))

    @property
    def rates(self) -> dict[str, float]:
        """Model -> rows a second of its steps; of several stages of a model, of the last."""
        plan = self.prepared.config.plan
        return {
            stage.model: self.results[stage.name]["rows_per_second"] for stage in plan if stage.name in self.results
        }
