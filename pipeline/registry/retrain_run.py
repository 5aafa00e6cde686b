"""What one retrain records: a parent run, and a child a stage, each of which begins and ends when the stage does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import yaml

from pipeline.registry import figures
from pipeline.registry.datasets import LogRows
from pipeline.registry.opening import Opening
from pipeline.registry.run_log import RunLog
from pipeline.registry.tags import BEST_STAGE, NOTE, OUTCOME, PARENT, PART_OF, STAGE, of_setting
from schemas.config import TrainConfig
from schemas.defaults import tree_of
from schemas.redaction import redacted_tree
from schemas.stage import REFRESH, WARM, StageConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.registry.client import Client
    from pipeline.registry.tracking import Tracking

Spell = tuple[float, float]
"""When something began and ended, in seconds since 1970; 0 where that is not known."""
NO_SPELL: Spell = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Retrain:
    """The runs of one retrain; `stages` maps the name of a stage that has begun to its run id."""

    tracking: "Tracking"
    run_id: str
    name: str
    """What it is called until its end is known."""
    stages: dict[str, str] = field(default_factory=dict)
    _openings: dict[str, Opening] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)

    @property
    def client(self) -> "Client":
        return self.tracking.client

    @property
    def log(self) -> RunLog:
        """What the curves are logged with."""
        return RunLog(self.tracking.uri, self.stages, self._openings)

    def stage_run(self, stage: str, spell: Spell = NO_SPELL) -> str:
        """The id of its run, which is opened where MLflow has not heard of its beginning."""
        if stage not in self.stages:
            self.stages.update(self.tracking.stages_of(self.run_id))
        if stage not in self.stages:
            self.stages[stage] = self._openings[stage].open(self.client, _ms(spell[0]))
        return self.stages[stage]

    def finish_stage(
        self,
        stage: str,
        results: Mapping[str, float],
        settings: Mapping[str, str] | None = None,
        spell: Spell = NO_SPELL,
    ) -> None:
        """Log a stage's final figures, on the parent too, so that one row has all stages' beside each other.

        As tags: what its workers chose on the machine they found. Its run ends when the stage did.
        """
        run_id = self.stage_run(stage, spell)
        self._log(run_id, figures.of_stage(results))
        self._log(self.run_id, figures.beside_others(stage, results))
        for name, value in (settings or {}).items():
            self.client.set_tag(run_id, of_setting(name), value)
        self.client.set_terminated(run_id, "FINISHED", _ms(spell[1]))
        self._ended.add(stage)

    def fail_stage(self, stage: str, why: str) -> None:
        """End the run of a stage that could not be trained; its description says why, the parent's tag that it did."""
        run_id = self.stage_run(stage)
        self.client.set_tag(run_id, NOTE, why)
        self.client.set_terminated(run_id, "FAILED")
        self._ended.add(stage)
        self.set_tag(OUTCOME, "partial")

    def log_lift(self, stage: str, lift: Mapping[str, float], words: str) -> None:
        """What pretraining bought the stage: figures under `test/lift/`, and in words as its run's description."""
        run_id = self.stage_run(stage)
        self._log(run_id, {f"{figures.LIFT}/{name}": value for name, value in lift.items()})
        self.client.set_tag(run_id, NOTE, words)

    def log_best(self, stage: str, results: Mapping[str, float]) -> None:
        """The best stage's figures on the parent too, so that nights compare."""
        self._log(self.run_id, figures.of_stage(results))
        self.set_tag(BEST_STAGE, stage)

    def log_figures(self, plots: "Mapping[str, Figure]") -> None:
        """Name -> figure, as PNG on the parent."""
        for name, figure in plots.items():
            self.client.log_figure(self.run_id, figure, f"plots/{name}.png")

    def log_text(self, name: str, text: str) -> None:
        self.client.log_text(self.run_id, text, name)

    def set_tag(self, key: str, value: str) -> None:
        self.client.set_tag(self.run_id, key, value)

    def open_stages(self, stages: Sequence[StageConfig]) -> None:
        """Each gets a run when the first point of it is logged, so that it lasts as long as the stage."""
        for stage in stages:
            tags = {PARENT: self.run_id, PART_OF: self.name, STAGE: stage.name}
            name = f"{stage.model} ({stage.name})" if stage.name in (WARM, REFRESH) else stage.name
            self._openings[stage.name] = self.tracking.opening("stage", name, tags, stage.model_dump(mode="json"))

    def log_data(self, rows: Sequence[LogRows], stage: str = "") -> None:
        """What the retrain, or one of its stages, was trained and judged on; what has none of the rows is left out."""
        run_id = self.stage_run(stage) if stage else self.run_id
        self.client.log_inputs(run_id, [one.as_input() for one in rows if one.num_rows])

    def log_final(self, section: str, found: Mapping[str, float]) -> None:
        """Figures of the whole retrain, under `section/`; what is not finite is left out."""
        self._log(self.run_id, {f"{section}/{name}": value for name, value in found.items()})

    def rename(self, end: str) -> None:
        """Now that its end is known."""
        self.client.update_run(self.run_id, name=f"{self.name} · {end}")

    def describe(self, words: str) -> None:
        """The run's description, which stands on top of its page."""
        self.set_tag(NOTE, words)

    def begin(self, config: TrainConfig, manifest_json: str) -> None:
        """Write down what is asked for, without secrets: the resolved config, the feature spec and the manifest."""
        resolved = yaml.safe_dump(redacted_tree(tree_of(config)), sort_keys=False)
        self.log_text("config.yaml", resolved)
        self.log_text("features.json", config.data.features.model_dump_json(indent=1))
        self.log_text("manifest.json", manifest_json)

    def _log(self, run_id: str, named: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        # The start as their time: where they are logged again as a model's, the run keeps one point of each.
        time_ms = self.client.get_run(run_id).info.start_time
        metrics = [Metric(name, value, time_ms, 0) for name, value in figures.in_order(named) if isfinite(value)]
        self.client.log_batch(run_id, metrics=metrics)

    def end(self, status: str) -> None:
        """The parent last: where this is cut short, the parent is still running, and ended the next time."""
        self.stages.update(self.tracking.stages_of(self.run_id))
        for stage, run_id in self.stages.items():
            if stage not in self._ended:
                self.client.set_terminated(run_id, status)
        self.client.set_terminated(self.run_id, status)


def _ms(seconds: float) -> int | None:
    """As MLflow tells a time; of what is not known, none."""
    return round(seconds * 1000) or None
