"""What a retrain came to, as it is told and kept in its run's folder."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from pipeline.runtime import trusted
from pipeline.runtime.progress import Phase
from schemas.register import Register

UNREGISTERED = "nothing was registered, as was asked for"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a retrain came to. `stages` holds final figures; the best possible NE is known of synthetic logs.

    `model_uri` and `alias` are the best stage's; None where nothing was registered.
    """

    run_id: str
    identity: str
    tracking_uri: str
    held_out_days: tuple[str, ...]
    stages: dict[str, dict[str, float]]
    best_stage: str
    best_possible_ne: float | None
    model_uri: str | None
    alias: str | None
    verdict: str
    lifts: tuple[str, ...] = ()
    """What pretraining bought, a sentence for each stage that has a control."""
    left_open: tuple[str, ...] = ()
    """A sentence for each stage whose config left to its rows how it is trained, and what that came to."""
    seen_before: tuple[str, ...] = ()
    """A sentence for each stage that comes from what has seen the labels of its rows."""
    failures: dict[str, str] = field(default_factory=dict)
    """Stages that could not be trained, and why."""
    cluster: dict[str, str] = field(default_factory=dict)
    """The settings that change no result, as it was trained; none of a retrain of an earlier version."""
    differs: tuple[str, ...] = ()
    """Those of them that are asked for otherwise by who got this finished retrain: `key: then -> now`."""
    register: Register = Register.BEST
    registered: dict[str, str] = field(default_factory=dict)
    """Stage -> its version, of those that were registered beside the best one."""
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    """What needs no model, on the same rows: the base rate of the training days, of each group where there is one."""
    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """Stage or baseline -> metric -> its 95% interval; not known of a retrain of an earlier version."""
    phases: tuple[Phase, ...] = ()
    """Where the time of the call went that ended it, up to its page."""


def parse_summary(content: bytes) -> Summary:
    return TypeAdapter(Summary).validate_python(trusted.unsealed(content))
