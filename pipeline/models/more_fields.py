"""The tensors of a model over more fields that says what one over fewer does, until it learns otherwise."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.models.fm import FM
from pipeline.models.fnn import FNN

FIRST_LAYER = "mlp.layers.0.weight"


def over_fields(model: FM | FNN, places: Sequence[int], num_fields: int) -> dict[str, Tensor]:
    """Of a model of `num_fields` fields, where the f-th of this one's is number places[f].

    What the first layer reads of the other fields weighs 0, so that its layers say the same. An FM's part says more as
    soon as rows of these fields have a w, or a v that is not 0.
    """
    tensors = dict(model.state_dict())
    if FIRST_LAYER not in tensors:
        return tensors
    weights, ahead = tensors[FIRST_LAYER], model.inputs_ahead
    of_fields = weights[..., ahead:].unflatten(-1, (len(places), -1))
    wider = of_fields.new_zeros(*of_fields.shape[:-2], num_fields, of_fields.shape[-1])
    wider[..., list(places), :] = of_fields
    return {**tensors, FIRST_LAYER: torch.cat([weights[..., :ahead], wider.flatten(start_dim=-2)], dim=-1)}
