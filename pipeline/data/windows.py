"""Windows of packed rows, read from the store by pyarrow in this process."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.data.packing import to_rows
from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, opened, without_groups

WINDOW_ROWS = 65_536  # rows that a rank holds and shuffles at a time


def local_windows(
    store: Store, split: SplitName, num_fields: int, rank: int, num_ranks: int, *, with_groups: bool = True
) -> Iterator[Rows]:
    """Every `num_ranks`-th row group of a split, read by this process: the ranks' shares are all rows, each once.

    Ray's equal shares would drop the rows that do not divide, which a held-out day can't do without.
    """
    assert num_ranks == 1 or split != "train" or store.negative_share == 1, "which stay goes by a part's whole"
    number = 0
    for part in store.of_split(split):
        with opened(store.uri_of(part), part.footer_sha256) as file:
            num_groups, columns = file.metadata.num_row_groups, None if with_groups else without_groups(file)
            own = [group for group in range(num_groups) if (number + group) % num_ranks == rank]
            number += num_groups
            for table in store.thinning(part).kept(file.read_row_group(group, columns) for group in own):
                yield to_rows(table, num_fields)


def windows_of_epoch(store: Store, num_fields: int, window_rows: int) -> Iterator[Rows]:
    """All rows to train on, as a lone rank reads them, `window_rows` at a time."""
    return rewindowed(local_windows(store, "train", num_fields, 0, 1, with_groups=False), window_rows)


class Outcomes(NamedTuple):
    """What became of R rows, without what they hold; arrays [R]."""

    labels: NDArray[np.float64]
    weights: NDArray[np.float32] | None
    groups: NDArray[np.int64] | None


def outcomes(store: Store, split: SplitName) -> Iterator[Outcomes]:
    """Those of each row group of a split, of all its rows, in the store's order. The ids are not read."""
    for part in store.of_split(split):
        with opened(store.uri_of(part), part.footer_sha256) as file:
            columns = [name for name in file.schema_arrow.names if name in ("label", "row_weight", "group")]
            for group in range(file.metadata.num_row_groups):
                found = {
                    name: column.to_numpy()
                    for name, column in zip(columns, file.read_row_group(group, columns).columns, strict=True)
                }
                yield Outcomes(found["label"].astype(np.float64), found.get("row_weight"), found.get("group"))


def different_labels(store: Store, split: SplitName) -> list[float]:
    """Two of those that a split's rows have, or the only one."""
    found: set[float] = set()
    for one in outcomes(store, split):
        found.update(np.unique(one.labels)[:2].tolist())
        if len(found) > 1:
            break
    return sorted(found)[:2]


def rewindowed(windows: Iterable[Rows], window_rows: int) -> Iterator[Rows]:
    """The same rows in windows of `window_rows`, but for a last, shorter one. One within another is a view."""
    waiting: list[Rows] = []
    num_waiting = 0
    for rows in windows:
        start = 0
        while (stop := start + window_rows - num_waiting) <= len(rows):
            yield _joined([*waiting, rows.slice(start, stop)])
            waiting, num_waiting, start = [], 0, stop
        if start < len(rows):
            waiting.append(rows.slice(start, len(rows)))
            num_waiting += len(rows) - start
    if waiting:
        yield _joined(waiting)


def _joined(rows: list[Rows]) -> Rows:
    return rows[0] if len(rows) == 1 else Rows.concatenate(rows)
