"""The served model: raw rows of the log as a DataFrame -> probabilities of a click or of each class, or numbers.

MLflow stores this file in the model and runs it when it loads one ("models from code"), so that nothing is pickled.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from pipeline.registry.bundle import Bundle
from pipeline.registry.frames import to_arrow, to_frame
from pipeline.registry.tags import BUNDLE
from schemas.errors import Refusal
from schemas.scores import require_finite


class ClickModel(PythonModel):  # type: ignore[misc]  # MLflow leaves its base class untyped
    """The bundle among the model's artifacts, behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        self.bundle = Bundle.load(Path(context.artifacts["bundle"]), (context.model_config or {}).get(BUNDLE))
        _ = self.bundle.encoder  # made here, so that the first request need not wait for it

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Rows of the log with at least its feature columns -> a column each of what it says, under the same index.

        Records, and columns by their names, are rows too: the model has no signature of its inputs, by which MLflow
        would make frames of them. Raises MlflowException, which its scoring server hands on, in the words of the
        Refusal for rows that cannot be read; Failure for rows of which the model makes no number.
        """
        try:
            frame = to_frame(model_input, self.bundle.spec)
            table = to_arrow(frame, self.bundle.spec)
        except Refusal as refusal:
            raise MlflowException.invalid_parameter_value(str(refusal)) from refusal
        scores = self.bundle.scores(table)
        require_finite(scores, "the rows to score")
        return pd.DataFrame(scores, frame.index, [*self.bundle.score_columns])


set_model(ClickModel())
