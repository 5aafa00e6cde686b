"""What served when: nights, and what has moved the champion between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest

from pipeline.nights.records import Move, Night

LONG_AGO = datetime.min.replace(tzinfo=UTC)  # when a night of an earlier version ended, which has not told
CALLED = {"rollback": "rolled back", "rebuild": "rebuilt"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A night, or a move between two of them."""

    when: str
    what: str
    served: str | None
    """Until the next night, or until now; None: nothing."""
    night: Night | None = None

    @classmethod
    def of_move(cls, move: Move) -> "Entry":
        by = f" by {move.by}" if move.by else ""
        return cls(f"{move.time:%Y-%m-%d %H:%M}", f"{move.kind}{by}, from {_short(move.from_uri)}", move.to_uri)

    @property
    def served_in_short(self) -> str:
        return _short(self.served)


def history(nights: Sequence[Night], moves: Sequence[Move], serves_now: str | None) -> list[Entry]:
    """Nights in the order of their days, each followed by the moves between it and the night that came next in time."""
    in_time = sorted(nights, key=lambda night: (night.ended or LONG_AGO, night.day, night.key))
    since: dict[int, list[Move]] = {}
    for night, later in zip_longest(in_time, in_time[1:]):
        end = (later.ended or LONG_AGO) if later else datetime.max.replace(tzinfo=UTC)
        since[id(night)] = [move for move in moves if (night.ended or LONG_AGO) <= move.time < end]
    first = in_time[0].ended or LONG_AGO if in_time else None
    before = [Entry.of_move(move) for move in moves if first is None or move.time < first]
    return [
        *before,
        *(entry for night in nights for entry in _with_moves(night, since[id(night)], in_time, serves_now)),
    ]


def _with_moves(
    night: Night, moves: Sequence[Move], in_time: Sequence[Night], serves_now: str | None
) -> Iterator[Entry]:
    served = moves[-1].to_uri if moves else night.champion_uri
    what = night.became
    if night is in_time[-1] and served != serves_now:
        served, what = serves_now, f"{what}; alias moved since"
    elif night.outcome == "promoted" and served != night.champion_uri:
        how = next((CALLED[move.kind] for move in moves if move.from_uri == night.champion_uri), "moved since")
        what = f"{what}, {how}"
    yield Entry(str(night.day), what, served, night)
    yield from map(Entry.of_move, moves)


def _short(uri: str | None) -> str:
    return (uri or "nothing").removeprefix("models:/")
