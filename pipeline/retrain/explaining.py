"""What each field is worth to the model that was judged, told once the verdict is there: it changes nothing of it."""

import logging

from pipeline.evaluation.worth import Worth
from pipeline.registry import explained
from pipeline.registry.bundle import Bundle
from pipeline.registry.retrain_run import Retrain
from pipeline.report.worth import plot_worth
from pipeline.retrain.dataset import Inputs
from pipeline.runtime.progress import Clock
from pipeline.scoring.explain import explain
from schemas.config import TrainConfig
from schemas.errors import Failure, Refusal

logger = logging.getLogger(__name__)


def worth_of(bundle: Bundle, config: TrainConfig, inputs: Inputs, run: Retrain, clock: Clock) -> Worth | None:
    """On some of the held-out rows, logged in the run; None where the config asks for none.

    None, too, where these few rows tell nothing, as those of one class; why is said.
    """
    if config.explain is None:
        return None
    try:
        found = explain(bundle, inputs.manifest, config.data, inputs.judged_split, config.explain, clock)
    except (Failure, Refusal) as error:
        why = error.found if isinstance(error, Refusal) else error
        logger.warning("what each field is worth is not told: %s", why)
        return None
    explained.log(run.client, run.run_id, found, plot_worth(found))
    return found
