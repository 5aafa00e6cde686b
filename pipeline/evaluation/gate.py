"""May the candidate become champion? A pure function of figures, with its reason."""

from dataclasses import dataclass

from pipeline.evaluation.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision and, in a sentence with its figures, why."""

    promote: bool
    reason: str


def decide(candidate: Metrics, champion: Metrics | None) -> Verdict:
    """Promote a candidate that beats predicting the mean and, on the same held-out rows, the champion's NE."""
    if candidate.ne is None:
        return Verdict(False, "the held-out rows hold one class only, which no NE can be computed of")
    if candidate.ne >= 1:
        return Verdict(False, f"NE {candidate.ne:.4f} is no better than predicting the held-out mean, which has 1")
    if champion is None:
        return Verdict(True, f"NE {candidate.ne:.4f}; there is no champion yet")
    assert champion.rows == candidate.rows, "candidate and champion were scored on different rows"
    if champion.ne is None or candidate.ne < champion.ne:
        return Verdict(True, f"NE {candidate.ne:.4f} is below the champion's {champion.ne:.4f} on the same rows")
    return Verdict(False, f"NE {candidate.ne:.4f} is not below the champion's {champion.ne:.4f} on the same rows")
