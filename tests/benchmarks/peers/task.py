"""What a runner is asked for and what it answers. Runners run in a peer's environment: numpy, torch and the peer."""

import json
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """Train on all the rows once; the first `warm_up_steps` are not timed."""

    ids_RF: NDArray[np.int32]
    """Ids of one vocabulary over all fields: value v of field f is v * F + f."""
    clicks_R: NDArray[np.int32]
    """1 a click, 0 none."""
    num_ids: int
    batch_size: int
    dimension: int
    hidden: list[int]
    """Units of each hidden layer of a DeepFM; none for an FM."""
    warm_up_steps: int
    optimizer: str
    """By the peer's own name; empty: the fastest that it takes."""
    autocast: bool
    """Whether layers multiply in bfloat16, by torch's autocast around the peer's fit."""

    @classmethod
    def from_argument(cls) -> "Task":
        """Of the one argument, a JSON object whose `rows_path` is an npz with ids_RF and clicks_R."""
        asked = json.loads(sys.argv[1])
        with np.load(asked.pop("rows_path")) as rows:
            return cls(rows["ids_RF"], rows["clicks_R"], **asked)

    @property
    def num_fields(self) -> int:
        return self.ids_RF.shape[1]

    @property
    def values_per_field(self) -> int:
        return self.num_ids // self.num_fields

    @property
    def values_RF(self) -> NDArray[np.int32]:
        """The same in a vocabulary for each field."""
        return self.ids_RF // self.num_fields

    @property
    def warm_up_rows(self) -> int:
        return self.warm_up_steps * self.batch_size

    def answer(self, seconds: float) -> None:
        """Print the rate as the last line. `seconds` is the time of all rows after the warm-up."""
        print(json.dumps({"rows_per_second": (len(self.clicks_R) - self.warm_up_rows) / seconds}))
