"""The day that a time is in, from text: ISO 8601, with a zone or without, or seconds since 1970 and parts of them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.intake.days import Days
from pipeline.intake.text_rows import Mask

ISO = (
    r"^\s*(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?)?"
    r" ?(?P<zone>Z|UTC|(?P<sign>[+-])(?P<zone_hour>\d\d):?(?P<zone_minute>\d\d)?)?\s*$"
)
EPOCH = r"^\s*(?P<whole>-?\d{9,19})(?:\.\d+)?\s*$"
FIRST_DAY, LAST_DAY = np.datetime64("0001-01-01"), np.datetime64("9999-12-31")
DIGITS_OF_SECONDS = 11  # at most, up to the year 5138; three more are milliseconds, then micro- and nanoseconds


def days_of(text: pa.ChunkedArray, timezone: str) -> tuple[Days, Mask]:
    """The day of each time, and which are none, as those in no year from 1 to 9999; their day means nothing.

    An instant (seconds, or a time with a zone) is in the day that it is in in `timezone`. A time without a zone is one
    of that zone's clocks already.
    """
    column = text.combine_chunks()
    days, is_local = _iso_days(column, timezone)
    seconds, is_epoch = _epoch_seconds(column)
    if is_epoch.any():
        days = np.where(is_epoch, _local_days(seconds, timezone), days)
    return days, ~(is_local | is_epoch) | (days < FIRST_DAY) | (days > LAST_DAY)


def _iso_days(text: pa.StringArray, timezone: str) -> tuple[Days, Mask]:
    parts = pc.extract_regex(text, ISO)
    months = (_whole(parts, "year") - 1970) * 12 + _whole(parts, "month") - 1
    first_days = months.astype("datetime64[M]").astype("datetime64[D]")
    days: Days = first_days + (_whole(parts, "day") - 1).astype("timedelta64[D]")
    clock = _whole(parts, "hour") * 3600 + _whole(parts, "minute") * 60 + _whole(parts, "second")
    is_time = (days.astype("datetime64[M]") == first_days.astype("datetime64[M]")) & (clock <= 24 * 3600)
    is_time &= (_whole(parts, "month") >= 1) & (_whole(parts, "month") <= 12) & parts.is_valid().to_numpy(False)
    is_zoned = is_time & np.asarray(pc.not_equal(parts.field("zone"), "").fill_null(False))
    if is_zoned.any():
        ahead = _whole(parts, "zone_hour") * 3600 + _whole(parts, "zone_minute") * 60
        ahead *= np.where(np.asarray(pc.equal(parts.field("sign"), "-").fill_null(False)), -1, 1)
        instants = days.astype("datetime64[s]").astype(np.int64) + clock - ahead
        days = np.where(is_zoned, _local_days(np.where(is_zoned, instants, 0), timezone), days)
    return days, is_time


def _whole(parts: pa.StructArray, name: str) -> NDArray[np.int64]:
    """A group of digits as a number; 0 where there is none."""
    text = parts.field(name)
    numbers = pc.if_else(pc.equal(text, ""), None, text).cast(pa.int64()).fill_null(0)
    return np.array(numbers.to_numpy(zero_copy_only=False))


def _epoch_seconds(text: pa.StringArray) -> tuple[NDArray[np.int64], Mask]:
    parts = pc.extract_regex(text, EPOCH)
    is_epoch = parts.is_valid().to_numpy(False)
    digits = pc.utf8_length(pc.utf8_ltrim(parts.field("whole"), "-")).fill_null(0).to_numpy(zero_copy_only=False)
    thousands = np.clip(-(-(digits - DIGITS_OF_SECONDS) // 3), 0, 3)  # of its unit, in a second, as a power
    is_epoch &= digits <= DIGITS_OF_SECONDS + 8
    return _whole(parts, "whole") // 1000 ** thousands.astype(np.int64), is_epoch


def _local_days(seconds: NDArray[np.int64], timezone: str) -> Days:
    local = pc.local_timestamp(pa.array(seconds).cast(pa.timestamp("s", timezone)))
    return np.asarray(local.to_numpy(zero_copy_only=False)).astype("datetime64[D]")
