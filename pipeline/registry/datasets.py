"""What a run was trained and judged on, as MLflow tells it: rows of days of a log, by the digest of their files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from pipeline.registry.tags import CONTEXT
from schemas.redaction import redacted

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

Context = Literal["training", "validation", "evaluation"]


@dataclass(frozen=True, slots=True)
class LogRows:
    """Rows of a log: which days, how many of their rows, and what tells the files from others."""

    context: Context
    logs_uri: str
    days: Sequence[date]
    num_rows: int
    digest: str

    @property
    def name(self) -> str:
        """As the page of the experiment shows it in a column."""
        which = str(self.days[0]) if len(self.days) == 1 else f"{len(self.days)} days to {self.days[-1]}"
        return f"{which}, {self.num_rows:,} rows"

    def as_input(self) -> "DatasetInput":
        from mlflow.entities import Dataset, DatasetInput, InputTag

        scheme, has_scheme, _ = self.logs_uri.partition("://")
        days = [str(day) for day in self.days]
        dataset = Dataset(
            name=self.name,
            digest=self.digest,
            source_type=scheme if has_scheme else "local",
            source=json.dumps({"uri": redacted(self.logs_uri)}),
            profile=json.dumps({"num_rows": self.num_rows, "num_days": len(days), "days": days}),
        )
        return DatasetInput(dataset, [InputTag(CONTEXT, self.context)])


def judged_on(run: "Run") -> tuple[str, str] | None:
    """Name and digest of the rows that a run was judged on, where it says so."""
    for one in run.inputs.dataset_inputs if run.inputs else ():
        if any(tag.key == CONTEXT and tag.value == "evaluation" for tag in one.tags):
            return str(one.dataset.name), str(one.dataset.digest)
    return None
