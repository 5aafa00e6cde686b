"""A sweep's trials as parallel coordinates (Inselberg 1985): a line a trial, an upright axis a key, NE the last."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.report.plots import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES_AN_AXIS = 2.2
FAINTEST = 0.12  # the worst trial's opacity; the best one's is 1
MAX_LABEL = 24  # characters


@dataclass(frozen=True, slots=True)
class Axis:
    """One key: where each trial's value lies, from 0 at the foot to 1, and what is written at which places."""

    name: str
    places: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def plot_trials(axes: Sequence[Axis], nes: Sequence[float], best: int) -> "Figure":
    """`nes` are the trials' NE, the lowest at the top; `best` is the place of the best of them in all sequences."""
    from matplotlib.figure import Figure

    low, high = min(nes), max(nes)
    span = (high - low) or 1.0
    of_ne = Axis("NE", tuple((high - ne) / span for ne in nes), ((0.0, f"{high:.4f}"), (1.0, f"{low:.4f}")))
    drawn = [*axes, of_ne]
    figure = Figure(figsize=(INCHES_AN_AXIS * max(2, len(drawn)), 4.5), layout="constrained")
    plot = figure.add_subplot()
    x = range(len(drawn))
    for trial in sorted(range(len(nes)), key=lambda trial: -nes[trial]):
        is_best = trial == best
        plot.plot(
            x,
            [axis.places[trial] for axis in drawn],
            color=COLORS[1] if is_best else COLORS[0],
            alpha=1.0 if is_best else FAINTEST + (0.7 - FAINTEST) * of_ne.places[trial],
            linewidth=2.2 if is_best else 1.2,
            label="the best trial" if is_best else None,
        )
    for place, axis in enumerate(drawn):
        _draw_axis(plot, place, axis)
    plot.set_xticks(x, [_in_lines(axis.name) for axis in drawn])
    plot.set(yticks=[], xlim=(-0.3, len(drawn) - 0.4), ylim=(-0.08, 1.08))
    plot.tick_params(length=0)
    plot.spines[:].set_visible(False)
    return figure


def suffixes(keys: Sequence[str]) -> list[str]:
    """Of each dotted key the last words that tell it from the others."""
    ends = {key: [key.split(".", count)[count] for count in range(key.count("."), -1, -1)] for key in keys}
    shared = Counter(end for of_key in ends.values() for end in of_key)
    return [next((end for end in ends[key] if shared[end] == 1), key) for key in keys]


def _in_lines(name: str) -> str:
    """A name that is too long for one line, broken before its dots."""
    return name if len(name) <= MAX_LABEL else name.replace(".", "\n.")


def _draw_axis(plot: "Axes", x: float, axis: Axis) -> None:
    plot.axvline(x, ymin=0.08 / 1.16, ymax=1.08 / 1.16, color="0.5", linewidth=1.0, zorder=1)
    for place, words in axis.ticks:
        plot.text(x + 0.04, place, _shortened(words), fontsize=8, va="center", color="0.3")


def _shortened(words: str) -> str:
    return words if len(words) <= MAX_LABEL else f"...{words[3 - MAX_LABEL :]}"
