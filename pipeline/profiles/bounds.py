"""Which bounds a day breaks, by itself and against the days before it: a pure function of their profiles.

Broken is a day that nothing should learn from: rows are missing, a column is empty, the labels are others. Unusual is
one that people should look at: values have shifted further than theirs usually do, as new items, a campaign or a
holiday have them do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.profiles.profile import DayProfile, FieldProfile
from pipeline.profiles.psi import Usual, field_psi
from schemas.night import QualityConfig, setting

Kind = Literal["broken", "unusual"]
MOST_NAMES = 3  # of fields, in a line


@dataclass(frozen=True, slots=True)
class Breach:
    """A bound that a day breaks, in words: what of the day, what was found, what was expected, and by which key."""

    when: str
    """The day, or the days of a pool."""
    kind: Kind
    what: str
    found: str
    expected: str
    key: str = ""
    """The bound as it stands in a config; empty: there is none to change."""
    field: str = ""
    """Empty: it is of the rows."""

    @property
    def of(self) -> str:
        return f"{self.what} of {self.field!r}" if self.field else self.what

    @property
    def words(self) -> str:
        return f"{self.when}: {self.of}: {self.against}"

    @property
    def against(self) -> str:
        """What was found and what was expected."""
        return f"{self.found}; expected {self.expected}{f' ({self.key})' if self.key else ''}"


def breaches(new: DayProfile, before: Sequence[DayProfile], config: QualityConfig) -> list[Breach]:
    """All that is amiss with the new day, or pool of days: its rows first, then field by field.

    `before` are those before it, oldest first, of as many days each. It is held against the last `trailing_days` of
    them; what is usual of a field is what these were in their turn, against those before them, as far as there are any.
    Without trailing days a day is judged by itself alone. One of one class is always broken: nothing can be judged on
    it. Against no rows before, a rate has no bound. Labels that are no clicks have the bounds of a field.
    """
    days = [*before, new]
    shifts = [_shifts(day, days[max(0, n - config.trailing_days) : n]) for n, day in enumerate(days)]
    first = max(0, len(before) - config.trailing_days)
    trailing = [other for other in before[first:] if other.rows]
    found = [Breach(new.when, *words) for words in _of_rows(new, trailing, config)]
    for name, field in new.fields.items():
        rows_before = [(other.rows, other.fields[name]) for other in trailing if name in other.fields]
        usual = Usual.of([one[name] for one in shifts[first:-1] if name in one])
        words_of_field = _of_field(field, rows_before, _whose(trailing), config)
        words_of_shift = _of_shift(shifts[-1].get(name), usual, _whose(trailing), config)
        found += [Breach(new.when, *words, field=name) for words in (*words_of_field, *words_of_shift)]
    return found


def summed_up(breaches: Sequence[Breach]) -> tuple[str, ...]:
    """A line for each rule that is broken, by the figures of the first of its fields: ten at most."""
    of_rule: dict[tuple[str, str], list[Breach]] = {}
    for breach in breaches:
        of_rule.setdefault((breach.kind, breach.what), []).append(breach)
    return tuple(_together(of_one) for of_one in of_rule.values())


def _together(of_rule: Sequence[Breach]) -> str:
    first, *others = of_rule
    if not others:
        return first.words
    if not first.field:
        return f"{first.words}; {'; '.join(other.against for other in others)}"
    names = [repr(other.field) for other in others[:MOST_NAMES]]
    more = f" and {len(others) - len(names)} more fields" if len(others) > len(names) else ""
    return f"{first.words}; so are {', '.join(names)}{more}"


def _shifts(day: DayProfile, trailing: Sequence[DayProfile]) -> dict[str, float]:
    """Field -> its PSI, where it has one."""
    before = [other for other in trailing if other.rows]
    found = {
        name: field_psi(field, [other.fields[name] for other in before if name in other.fields])
        for name, field in day.fields.items()
    }
    return {name: shift for name, shift in found.items() if shift is not None}


Words = tuple[Kind, str, str, str, str]


def _of_rows(profile: DayProfile, before: Sequence[DayProfile], config: QualityConfig) -> Iterator[Words]:
    if profile.rows < config.min_rows:
        yield "broken", "rows", f"{profile.rows:,}", f"at least {config.min_rows:,}", setting(config, "min_rows")
    if before and config.rows_ratio:
        yield from _of_number_of_rows(profile.rows, before, config)
    if profile.positives is not None:
        yield from _of_clicks(profile, profile.positives, before, config)
    elif profile.label and profile.fields[profile.label].num_distinct < 2:
        found = f"{profile.fields[profile.label].num_distinct} in {profile.rows:,} rows"
        yield "broken", "different labels", found, "two or more", ""


def _of_clicks(
    profile: DayProfile, positives: int, before: Sequence[DayProfile], config: QualityConfig
) -> Iterator[Words]:
    rows_before = sum(other.rows for other in before)
    positives_before = sum(other.positives or 0 for other in before)
    if positives in (0, profile.rows):
        found = f"{positives:,} clicks in {profile.rows:,} rows"
        yield "broken", "label rate", found, "both clicks and rows without a click", ""
        return
    if before and config.rows_ratio and positives < config.rows_ratio[0] * positives_before / len(before):
        mean = positives_before / len(before)
        found = f"{positives:,}, {positives / mean:.3g} times the {mean:,.0f} of {_whose(before)}"
        yield "broken", "clicks", found, f"at least {config.rows_ratio[0]:g} times", setting(config, "rows_ratio")
    if before and config.label_rate_ratio and positives_before:
        rate = positives_before / rows_before
        label_rate = positives / profile.rows
        ratio = label_rate / rate
        found = f"{label_rate:.4g}, {ratio:.3g} times the {rate:.4g} of {_whose(before)}"
        yield from _outside(ratio, config, "label_rate_ratio", "label rate", found)


def _of_number_of_rows(rows: int, before: Sequence[DayProfile], config: QualityConfig) -> Iterator[Words]:
    assert config.rows_ratio
    mean = sum(other.rows for other in before) / len(before)
    found = f"{rows:,}, {rows / mean:.3g} times the {mean:,.0f} of {_whose(before)}"
    broken = list(_outside(rows / mean, config, "rows_ratio", "rows", found))
    yield from broken
    usual, spreads = Usual.of([other.rows for other in before]), config.usual_spreads
    if not broken and usual and spreads is not None and abs(rows - usual.mean) > spreads * usual.spread:
        key = setting(config, "usual_spreads")
        yield "unusual", "rows", found, f"within {spreads:g} spreads of {usual.spread:,.0f}", key


def _of_field(
    field: FieldProfile, rows_before: Sequence[tuple[int, FieldProfile]], whose: str, config: QualityConfig
) -> Iterator[Words]:
    unseen_share = field.unseen_share
    if config.max_unseen_share is not None and unseen_share is not None and unseen_share > config.max_unseen_share:
        found = f"{unseen_share:.2%} of {field.num_values:,}"
        expected = f"at most {config.max_unseen_share:.2%} that the vocabulary lacks"
        yield "unusual", "unseen values", found, expected, setting(config, "max_unseen_share")
    if not rows_before:
        return
    rows = sum(rows for rows, _ in rows_before)
    null_share = sum(rows * other.null_share for rows, other in rows_before) / rows
    found = f"{field.null_share:.2%} of the rows, {null_share:.2%} in {whose}"
    if config.min_filled_ratio is not None and 1 - field.null_share < config.min_filled_ratio * (1 - null_share):
        expected = f"at least {config.min_filled_ratio:g} times the usual rows with a value: it is as good as empty"
        yield "broken", "nulls", found, expected, setting(config, "min_filled_ratio")
    elif config.max_null_increase is not None and field.null_share - null_share > config.max_null_increase:
        expected = f"an increase of at most {config.max_null_increase:.2%} of the rows"
        yield "unusual", "nulls", found, expected, setting(config, "max_null_increase")


def _of_shift(shift: float | None, usual: Usual | None, whose: str, config: QualityConfig) -> Iterator[Words]:
    if config.max_psi is None or shift is None:
        return
    own = usual.mean + config.usual_spreads * usual.spread if usual and config.usual_spreads is not None else 0.0
    if shift > max(config.max_psi, own):
        expected = f"at most {max(config.max_psi, own):.3g}"
        if usual:
            expected += f", where {usual.mean:.3g} with a spread of {usual.spread:.2g} is usual"
        key = setting(config, "usual_spreads" if own > config.max_psi else "max_psi")
        yield "unusual", "values", f"PSI {shift:.3g} against {whose}", expected, key


def _outside(
    ratio: float, config: QualityConfig, key: Literal["rows_ratio", "label_rate_ratio"], what: str, found: str
) -> Iterator[Words]:
    band: tuple[float, float] = getattr(config, key)
    if not band[0] <= ratio <= band[1]:
        yield "broken", what, found, f"between {band[0]:g} and {band[1]:g} times", setting(config, key)


def _whose(before: Sequence[DayProfile]) -> str:
    several = "s" * (len(before) != 1)
    if not before or before[-1].num_days == 1:
        return f"{len(before)} trailing day{several}"
    return f"{len(before)} trailing pool{several} of {before[-1].num_days} days"
