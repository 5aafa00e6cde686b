"""The served model: raw rows of the log as a DataFrame -> click probabilities.

MLflow stores this file in the model and runs it when it loads one ("models from code"), so that nothing is pickled.
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from pipeline.registry.bundle import Bundle
from pipeline.registry.frames import to_arrow
from pipeline.registry.tags import BUNDLE
from schemas.scores import PROBABILITY, require_finite


def _is_news(record: logging.LogRecord) -> bool:
    """Rows of the log have columns that no model reads, the label among them: MLflow would say so at each call."""
    return not record.getMessage().startswith("Found extra inputs")


class ClickModel(PythonModel):  # type: ignore[misc]  # MLflow leaves its base class untyped
    """The bundle among the model's artifacts, behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        logging.getLogger("mlflow.models.utils").addFilter(_is_news)
        self.bundle = Bundle.load(Path(context.artifacts["bundle"]), (context.model_config or {}).get(BUNDLE))
        _ = self.bundle.encoder  # made here, so that the first request need not wait for it

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Rows of the log with at least its feature columns -> the column `probability`, under the same index.

        Raises Failure for rows of which the model makes no number.
        """
        probabilities = self.bundle.probabilities(to_arrow(model_input, self.bundle.spec))
        require_finite(probabilities, "the rows to score")
        return pd.DataFrame({PROBABILITY: probabilities}, index=model_input.index)


set_model(ClickModel())
