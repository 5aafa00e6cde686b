"""What a column's figure is called in MLflow: a log may call its columns anything, MLflow's metrics not."""

import re
from collections.abc import Iterable

MAX_CHARACTERS = 200  # of the 250 that MLflow takes, with the section before it


def of_columns(columns: Iterable[str]) -> dict[str, str]:
    """Column -> a name that no other of these columns has; as it is, where it may be."""
    names: dict[str, str] = {}
    for column in columns:
        plain = re.sub(r"[^\w.-]", "_", column)[:MAX_CHARACTERS]
        if not plain.strip("."):  # which a path would be shortened by
            plain = plain.replace(".", "_") or "_"
        taken, name, number = {*names.values()}, plain, 2
        while name in taken:
            name, number = f"{plain}_{number}", number + 1
        names[column] = name
    return names
