"""Windows of packed rows, read from the store by pyarrow in this process."""

from collections.abc import Iterable, Iterator

from pipeline.data.packing import to_rows
from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, opened

WINDOW_ROWS = 65_536  # rows that a rank holds and shuffles at a time


def local_windows(store: Store, split: SplitName, num_fields: int, rank: int, num_ranks: int) -> Iterator[Rows]:
    """Every `num_ranks`-th row group of a split, read by this process: the ranks' shares are all rows, each once.

    Ray's equal shares would drop the rows that do not divide, which a held-out day can't do without.
    """
    assert num_ranks == 1 or split != "train" or store.negative_share == 1, "which stay goes by a part's whole"
    number = 0
    for part in store.of_split(split):
        with opened(store.uri_of(part), part.footer_sha256) as file:
            num_groups = file.metadata.num_row_groups
            own = [group for group in range(num_groups) if (number + group) % num_ranks == rank]
            number += num_groups
            for table in store.thinning(part).kept(map(file.read_row_group, own)):
                yield to_rows(table, num_fields)


def rewindowed(windows: Iterable[Rows], window_rows: int) -> Iterator[Rows]:
    """The same rows in windows of `window_rows`, but for a last, shorter one."""
    waiting: list[Rows] = []
    for rows in windows:
        waiting.append(rows)
        if sum(map(len, waiting)) < window_rows:
            continue
        joined = Rows.concatenate(waiting)
        whole = len(joined) // window_rows * window_rows
        for start in range(0, whole, window_rows):
            yield joined.slice(start, start + window_rows)
        waiting = [joined.slice(whole, len(joined))] if whole < len(joined) else []
    if waiting:
        yield Rows.concatenate(waiting)
