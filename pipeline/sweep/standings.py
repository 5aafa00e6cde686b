"""What has become of each trial so far: shown, recorded in MLflow, and kept for the same sweep's next call."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from pydantic import TypeAdapter

from pipeline.registry.sweep_runs import SweepRuns
from pipeline.runtime import files, trusted
from pipeline.runtime.progress import Event, Show
from pipeline.sweep.outcome import Look, Outcome
from pipeline.sweep.task import Task
from schemas.sweep import Trial


@dataclass(slots=True)
class Standings:
    """The trials of a sweep, by number."""

    task: Task
    trials: Sequence[Trial]
    runs: SweepRuns
    show: Show
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    over: set[int] = field(default_factory=set)
    """Trials that would come to the same if they were trained again."""

    def open(self) -> list[int]:
        """Know of all trials; the numbers of those to be trained, which refused and earlier ended ones are not."""
        for trial in self.trials:
            self._open(trial)
        return [trial.number for trial in self.trials if trial.number not in self.over]

    def start(self, number: int) -> None:
        self.show(Event(self._name(number), 0, self.outcomes[number].num_looks))

    def look(self, number: int, look: Look) -> None:
        outcome = self.outcomes[number]
        looks = (*outcome.looks, look)
        self.outcomes[number] = replace(outcome, looks=looks)
        self.runs.log_look(number, look.step, look.ne, look.auc)
        if len(looks) < outcome.num_looks:
            self.show(Event(self._name(number), len(looks), outcome.num_looks, f"NE {look.ne:.4g}"))

    def fail(self, number: int, why: str) -> None:
        """Note why the trial is about to end without a result."""
        self.outcomes[number] = replace(self.outcomes[number], failure=why)

    def complete(self, number: int) -> None:
        """End a trial that has run to its end, was stopped for good, or would fail in the same way again."""
        outcome = self.outcomes[number]
        self.over.add(number)
        trusted.write(self._kept_at(number), asdict(outcome))
        files.remove(self.task.trial_uri(number))
        self._end(outcome)

    def give_up(self, number: int, why: str) -> None:
        """End a trial whose process was lost: the next call tries it again."""
        self.fail(number, why)
        self._end(self.outcomes[number])

    def run_out(self, numbers: Sequence[int], why: str) -> None:
        """End those of the trials that are not over, as stopped for lack of time."""
        for number in set(numbers) - self.over:
            self._end(self.outcomes[number], why)

    def _open(self, trial: Trial) -> None:
        """One that is over already ends at once."""
        if trial.refusal:
            refusal = trial.refusal
            outcome = Outcome(trial.number, trial.values, failure=f"found {refusal.found}, expected {refusal.expected}")
        elif kept := trusted.kept(self._kept_at(trial.number), _parse):
            outcome = kept
        else:
            self.outcomes[trial.number] = Outcome(trial.number, trial.values, self.task.num_looks(trial.number))
            return
        self.outcomes[trial.number] = outcome
        self.over.add(trial.number)
        for look in outcome.looks:
            self.runs.log_look(trial.number, look.step, look.ne, look.auc)
        self._end(outcome)

    def _end(self, outcome: Outcome, why_without_looks: str = "") -> None:
        """End a trial: its run, and what is shown of it."""
        done = max(1, len(outcome.looks))
        if outcome.failure:
            self.runs.fail_trial(outcome.number, outcome.failure)
            note = f"failed: {outcome.failure}"
        elif outcome.best is None:
            self.runs.kill_trial(outcome.number, why_without_looks)
            note = why_without_looks
        else:
            self.runs.finish_trial(outcome.number, outcome.best.ne, outcome.best.auc)
            is_stopped = len(outcome.looks) < outcome.num_looks
            note = f"NE {outcome.best.ne:.4g}" + f", stopped at look {done} of {outcome.num_looks}" * is_stopped
        self.show(Event(self._name(outcome.number), done, done, note))

    def _name(self, number: int) -> str:
        return f"trial {number} of {len(self.trials)}"

    def _kept_at(self, number: int) -> str:
        return f"{self.task.uri}/outcomes/{number}.json"


def _parse(content: bytes) -> Outcome:
    return TypeAdapter(Outcome).validate_python(trusted.unsealed(content))
