"""A sweep's page: the best trial, those nearest to it, and all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.evaluation.bootstrap import Interval
from pipeline.report import charts, sections
from pipeline.report.markup import Markup, document, element, joined, section, table
from pipeline.report.page import sentence
from pipeline.report.sections import DASH, INTERVAL, NUMBER, WORDS, capital, change_cells, number
from pipeline.report.trials import Axis, plot_trials, suffixes
from pipeline.runtime.progress import Phase


@dataclass(frozen=True, slots=True)
class Trial:
    """One draw; `values` are in the order of the page's keys, `ne` is None where it came to nothing."""

    number: int
    values: tuple[str, ...]
    looks: str
    num_seeds: int = 1
    ne: float | None = None
    beside: float | None = None  # the figure that is told beside NE
    deviations: tuple[float, float] | None = None  # of both, over the seeds
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was drawn, in full, and what from."""

    name: str
    drawn_from: str
    at_bound: float | None = None  # that the best value lies at


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A trial near the best one; without a `change` the two could not be compared."""

    number: int
    near_in: str
    change: Interval | None = None  # of NE, this one minus the best, on the same rows


@dataclass(frozen=True, slots=True)
class SweepPage:
    """One sweep. Every string is text, never HTML."""

    stage: str
    best: int
    keys: tuple[Key, ...]
    trials: tuple[Trial, ...]  # best first
    axes: Sequence[Axis] = ()  # of the trials that came to a look, in the order of their numbers
    bounds: tuple[float, float] | None = None  # of the best one's NE
    confidence: float = 0.95
    neighbours: tuple[Neighbour, ...] = ()
    beside_ne: str = "AUC"  # what the figure beside NE is called
    notes: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def winner(self) -> Trial:
        return next(trial for trial in self.trials if trial.number == self.best)


def render(page: SweepPage) -> str:
    """The page as one HTML file without a script; the same page gives the same bytes."""
    body = [_header(page), _values(page), *_neighbours(page), *_plot(page), _all(page), *_failures(page)]
    body += [*sections.waterfall(page.phases), *sections.versions(page.versions)]
    return document(f"Sweep of {page.stage}: trial {page.best}", *body)


def _header(page: SweepPage) -> Markup:
    where = element("p", f"Nightjar · sweep of {page.stage}", class_="where")
    at_bounds = [
        f"the best {key.name} lies at the bound {key.at_bound:g} of what was drawn: draw beyond it as well"
        for key in page.keys
        if key.at_bound is not None
    ]
    said = [element("p", sentence(_lead(page)), class_="lead")]
    said += [element("p", sentence(words), class_="wary") for words in at_bounds]
    said += [element("p", sentence(words)) for words in page.notes]
    return element("header", where, element("h1", f"Trial {page.best}"), *said, class_="trained")


def _lead(page: SweepPage) -> str:
    best = page.winner
    words = f"NE {number(best.ne, 4)} on the validation rows, the best of {len(page.trials)} trials"
    if page.bounds:
        low, high = page.bounds
        words += f"; {100 * page.confidence:g}% interval {low:.4f} to {high:.4f}"
    if best.deviations:
        words += f"; the mean of {best.num_seeds} seeds, with a deviation of {best.deviations[0]:.2g}"
    return words


def _values(page: SweepPage) -> Markup:
    rows = [
        [_breakable(key.name), value, key.drawn_from, "" if key.at_bound is None else _at_bound(key.at_bound)]
        for key, value in zip(page.keys, page.winner.values, strict=True)
    ]
    columns = [("Key", WORDS), ("Best value", ""), ("Drawn from", WORDS), ("", "")]
    return section("The best values", table(columns, rows))


def _at_bound(bound: float) -> Markup:
    return element("span", f"at the bound {bound:g}", class_="wary")


def _neighbours(page: SweepPage) -> Iterator[Markup]:
    if not page.neighbours:
        return
    of_number = {trial.number: trial for trial in page.trials}
    names = suffixes([key.name for key in page.keys])
    columns = [("Trial", NUMBER), ("Near in", ""), *((_breakable(name), WORDS) for name in names)]
    columns += [("NE", NUMBER), ("Change", NUMBER), (f"{100 * page.confidence:g}% interval", INTERVAL), ("", WORDS)]
    rows = []
    for one in page.neighbours:
        trial = of_number[one.number]
        said = change_cells(one.change, better=-1) if one.change else (DASH, DASH, "not compared")
        rows.append([str(one.number), one.near_in, *trial.values, number(trial.ne, 4), *said])
    note = (
        "The trials nearest to the best one in NE and in settings. Change: their NE minus its own on the same "
        "validation rows, at each one's best look with the first seed; what is not clear may be luck."
    )
    yield section("Its neighbours", table(columns, rows), note=note)


def _plot(page: SweepPage) -> Iterator[Markup]:
    looked = [trial for trial in sorted(page.trials, key=lambda trial: trial.number) if trial.ne is not None]
    if page.axes and looked:
        nes = [trial.ne for trial in looked if trial.ne is not None]
        figure = plot_trials(page.axes, nes, [trial.number for trial in looked].index(page.best))
        label = f"Each trial's values of {len(page.axes)} keys and its NE, as a line across upright axes"
        yield section("Trials as parallel coordinates", charts.inline(figure, label), note="The best one stands out.")


def _all(page: SweepPage) -> Markup:
    has_spread = any(trial.deviations for trial in page.trials)
    columns = [("Trial", NUMBER), *((_breakable(key.name), WORDS) for key in page.keys)]
    columns += [("Looks", ""), *([("Seeds", NUMBER)] if has_spread else []), ("NE", NUMBER)]
    columns.append((capital(page.beside_ne), NUMBER))
    rows = []
    for trial in page.trials:
        own = element("strong", str(trial.number), class_="good") if trial.number == page.best else str(trial.number)
        spread = trial.deviations or (None, None)
        figures = [_spread(trial.ne, spread[0]), _spread(trial.beside, spread[1])]
        rows.append([own, *trial.values, trial.looks, *([str(trial.num_seeds)] if has_spread else []), *figures])
    note = "By NE; trials of fewer seeds stand below those of more." if has_spread else "By NE."
    return section("All trials", table(columns, rows), note=note)


def _spread(value: float | None, deviation: float | None) -> str:
    return number(value, 4) if deviation is None else f"{number(value, 4)} ± {deviation:.4f}"


def _failures(page: SweepPage) -> Iterator[Markup]:
    failed = [trial for trial in page.trials if trial.failure]
    if failed:
        items = [element("li", f"trial {trial.number}: {trial.failure}") for trial in failed]
        yield section("What failed", element("ul", *items, class_="bad"))


def _breakable(key: str) -> Markup:
    """May be broken after its dots, where there is no room."""
    first, *rest = key.split(".")
    return joined([first, *(part for one in rest for part in (Markup(".<wbr>"), one))])
