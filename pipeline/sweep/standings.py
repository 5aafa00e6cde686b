"""What has become of each trial so far: shown, recorded in MLflow, and kept for the same sweep's next call."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from pydantic import TypeAdapter

from pipeline.registry.sweep_runs import SweepRuns
from pipeline.runtime import files, trusted
from pipeline.runtime.progress import Event, Show
from pipeline.sweep.outcome import Look, Outcome
from pipeline.sweep.task import Attempt, Task
from schemas.sweep import Trial


@dataclass(slots=True)
class Standings:
    """The trials of a sweep: each is attempted with the first seed, and with the others too where nothing stops it."""

    tasks: Mapping[int, Task]
    """By the place of the seed."""
    trials: Sequence[Trial]
    runs: SweepRuns
    show: Show
    attempts: dict[Attempt, Outcome] = field(default_factory=dict)
    over: set[Attempt] = field(default_factory=set)
    """Attempts that would come to the same if they were made again."""
    _ended: set[int] = field(default_factory=set)
    """Trials whose run has ended."""

    def open(self) -> list[Attempt]:
        """Know of all trials; what is to be made with the first seed, which refused and earlier ended ones are not."""
        for trial in self.trials:
            self._open(trial)
        return [(trial.number, 0) for trial in self.trials if (trial.number, 0) not in self.over]

    def further(self) -> list[Attempt]:
        """What is to be made with the other seeds, when all is over that is with the first."""
        undecided = [trial.number for trial in self.trials if not self._is_decided(trial.number)]
        further = [(number, seed) for number in undecided for seed in self.tasks if (number, 0) in self.over]
        return [attempt for attempt in further if attempt not in self.over]

    @property
    def are_all_over(self) -> bool:
        return all(self._is_decided(trial.number) for trial in self.trials)

    def outcome(self, number: int) -> Outcome:
        """What became of a trial with all its seeds; where it failed with one of them, it failed."""
        made = self._made(number)
        failure = next((self.attempts[one].failure for one in made if self.attempts[one].failure), "")
        bests = [self.attempts[one].best for one in made[1:] if one in self.over]
        further = tuple(best for best in bests if best)
        return replace(self.attempts[number, 0], failure=failure, further=further)

    def start(self, attempt: Attempt) -> None:
        first = self.attempts[attempt[0], 0]
        self.attempts[attempt] = Outcome(first.number, first.values, first.num_looks)
        self.runs.start_trial(first.number)
        self.show(Event(self._name(attempt), 0, first.num_looks))

    def look(self, attempt: Attempt, look: Look) -> None:
        """Of the first seed the run has a curve."""
        outcome, (number, seed) = self.attempts[attempt], attempt
        looks = (*outcome.looks, look)
        self.attempts[attempt] = replace(outcome, looks=looks)
        if seed == 0:
            self.runs.log_look(number, look.step, look.ne, look.beside)
        if len(looks) < outcome.num_looks:
            self.show(Event(self._name(attempt), len(looks), outcome.num_looks, f"NE {look.ne:.4g}"))

    def fail(self, attempt: Attempt, why: str) -> None:
        """Note why the attempt is about to end without a result."""
        seed = attempt[1]
        told = f"with seed {seed + 1} of {len(self.tasks)}: {why}" if seed else why
        self.attempts[attempt] = replace(self.attempts[attempt], failure=told)

    def complete(self, attempt: Attempt) -> None:
        """End an attempt that has run to its end, was stopped for good, or would fail in the same way again."""
        number, seed = attempt
        self.over.add(attempt)
        trusted.write(self._kept_at(attempt), asdict(self.attempts[attempt]))
        files.remove(self.tasks[seed].trial_uri(number))
        self._end(attempt)

    def give_up(self, attempt: Attempt, why: str) -> None:
        """End an attempt whose process was lost, and its trial: the next call makes it again."""
        self.fail(attempt, why)
        self._end(attempt)

    def run_out(self, why: str) -> None:
        """End the trials that are not over, as stopped for lack of time; they are judged by what there is of them."""
        for number in {trial.number for trial in self.trials} - self._ended:
            for attempt in self._made(number):
                if attempt not in self.over:
                    self._show_end(attempt, why)
            self._end_trial(number, why)

    def _open(self, trial: Trial) -> None:
        """What is over already ends at once."""
        first = (trial.number, 0)
        if trial.refusal:
            refusal = trial.refusal
            failure = f"found {refusal.found}, expected {refusal.expected}"
            self.attempts[first] = Outcome(trial.number, trial.values, failure=failure)
            self.over.add(first)
        else:
            self.attempts[first] = Outcome(trial.number, trial.values, self.tasks[0].num_looks(trial.number))
            for attempt in ((trial.number, seed) for seed in self.tasks):
                if kept := trusted.kept(self._kept_at(attempt), _parse):
                    self.attempts[attempt] = kept
                    self.over.add(attempt)
        if first in self.over:
            for look in self.attempts[first].looks:
                self.runs.log_look(trial.number, look.step, look.ne, look.beside)
            for attempt in self._made(trial.number):
                self._end(attempt)

    def _made(self, number: int) -> list[Attempt]:
        """The attempts at a trial that were begun, or are to be, the first one first."""
        return [(number, seed) for seed in self.tasks if (number, seed) in self.attempts]

    def _is_decided(self, number: int) -> bool:
        """Whether nothing is left to be made of it."""
        if (number, 0) not in self.over:
            return False
        over = [attempt for attempt in self._made(number) if attempt in self.over]
        has_failed = any(self.attempts[attempt].failure for attempt in over)
        looks = self.attempts[number, 0].looks
        return has_failed or len(over) == len(self.tasks) or not self.tasks[0].has_ended(number, looks)

    def _end(self, attempt: Attempt) -> None:
        """And with it its trial, where it has failed or was the last."""
        self._show_end(attempt)
        if self.attempts[attempt].failure or self._is_decided(attempt[0]):
            self._end_trial(attempt[0])

    def _end_trial(self, number: int, why_without_looks: str = "") -> None:
        """End its run. Once: after one seed that failed, others may end."""
        if number in self._ended:
            return
        self._ended.add(number)
        outcome = self.outcome(number)
        if outcome.failure:
            self.runs.fail_trial(number, outcome.failure)
        elif outcome.judged is None or outcome.best is None:
            self.runs.kill_trial(number, why_without_looks)
        else:
            judged, (name, _) = outcome.judged, outcome.best.beside
            self.runs.finish_trial(number, judged.ne, (name, judged.beside), judged.deviations)

    def _show_end(self, attempt: Attempt, why_without_looks: str = "") -> None:
        outcome = self.attempts[attempt]
        done = max(1, len(outcome.looks))
        if outcome.failure:
            note = f"failed: {outcome.failure}"
        elif outcome.best is None:
            note = why_without_looks
        else:
            is_stopped = len(outcome.looks) < outcome.num_looks
            note = f"NE {outcome.best.ne:.4g}" + f", stopped at look {done} of {outcome.num_looks}" * is_stopped
        self.show(Event(self._name(attempt), done, done, note))

    def _name(self, attempt: Attempt) -> str:
        number, seed = attempt
        return f"trial {number} of {len(self.trials)}" + (f", seed {seed + 1} of {len(self.tasks)}" if seed else "")

    def _kept_at(self, attempt: Attempt) -> str:
        number, seed = attempt
        return f"{self.tasks[0].uri}/outcomes/{number}{f'-{seed}' if seed else ''}.json"


def _parse(content: bytes) -> Outcome:
    return TypeAdapter(Outcome).validate_python(trusted.unsealed(content))
