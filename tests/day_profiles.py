"""Profiles of days, made of their figures."""

from collections.abc import Mapping
from datetime import date

from pipeline.profiles.profile import DayProfile, FieldProfile


def day_profile(day: date, rows: int, positives: int, fields: Mapping[str, FieldProfile]) -> DayProfile:
    """Of sound rows alone."""
    return DayProfile(
        day=day,
        log_fingerprint="",
        spec_fingerprint="",
        rows=rows,
        positives=positives,
        bad_rows=0,
        bad_by_reason={},
        fields=dict(fields),
    )
