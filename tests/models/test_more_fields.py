"""A model over more fields that says what the one over fewer did."""

import pytest
import torch
from lookups import lookup_of

from pipeline import models
from pipeline.models.more_fields import over_fields
from schemas.stage import StageConfig

K, PLACES = 3, (4, 0, 2)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize(
    ("model", "members"), [("fm", 1), ("fnn", 1), ("fnn", 3), ("dnn", 1), ("deepfm", 1), ("deepfm", 2)]
)
@pytest.mark.parametrize("hidden", [(5,), (4, 3)])
def test_fields_that_nothing_is_known_of_change_no_logit(model, members, hidden, outputs):
    layers = {} if model == "fm" else {"mlp": {"hidden": hidden, "batch_norm": True}, "members": members}
    stage = StageConfig.model_validate({"name": "own", "model": model, **layers})
    few = models.build(stage, len(PLACES), K, 0, outputs).eval()
    for values in few.parameters():
        torch.nn.init.normal_(values)
    many = models.build(stage, 5, K, 1, outputs).eval()
    many.load_state_dict(over_fields(few, PLACES, 5))
    rows_BFD = torch.randn(16, 5, 1 + K)
    if model in ("fm", "deepfm"):  # an FM reads what stands in the rows themselves
        rows_BFD[:, [1, 3]] = 0.0
    with torch.no_grad():
        torch.testing.assert_close(many(lookup_of(rows_BFD)), few(lookup_of(rows_BFD[:, PLACES])))
