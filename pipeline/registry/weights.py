"""The weights of a bundle: which tensors its model has, and of which vocabulary the rows of its table are."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.data import vocabulary_check
from pipeline.data.vocabulary import Vocabulary
from pipeline.models import CTRModel

MODEL = "model."
ROWS, ACCUMULATORS = "table.rows", "table.accumulators"
VOCABULARY = "vocabulary"  # its fingerprint, beside the tensors
NEVER_BELOW_0 = (ACCUMULATORS, ".running_var")


def write(path: Path, tensors: Mapping[str, Tensor], vocabulary: Vocabulary) -> None:
    save_file(dict(tensors), path, {VOCABULARY: vocabulary.fingerprint})


def read(path: Path, vocabulary: Vocabulary, model: CTRModel, dimension: int) -> dict[str, Tensor]:
    """The table's tensors and the model's, by the names they have in the file. Cost: that of looking at each number.

    Raises ValueError for rows of other values, and where a tensor is missing, left over, of another form, or holds what
    no training leaves.
    """
    with safe_open(path, framework="pt") as file:
        fingerprint = (file.metadata() or {}).get(VOCABULARY)
    if fingerprint is None:  # as earlier versions wrote it
        vocabulary_check.check_distinct(vocabulary)
    elif fingerprint != vocabulary.fingerprint:
        raise ValueError(f"rows of the vocabulary {fingerprint}, not of the {vocabulary.fingerprint} beside them")
    tensors = load_file(path)
    expected = {MODEL + name: _form(values) for name, values in model.state_dict().items()}
    expected |= {
        ROWS: f"float32 [{vocabulary.num_ids}, {1 + dimension}]",
        ACCUMULATORS: f"float32 [{vocabulary.num_ids}]",
    }
    for name in sorted({*tensors} ^ {*expected}):
        raise ValueError(f"no tensor {name}" if name in expected else f"a tensor {name}, which its model has not")
    for name, values in tensors.items():
        if _form(values) != expected[name]:
            raise ValueError(f"{name} is {_form(values)}, not {expected[name]}")
        _check_numbers(name, values)
    return tensors


def _check_numbers(name: str, values: Tensor) -> None:
    low, high = (float(extreme) for extreme in torch.aminmax(values)) if values.numel() else (0.0, 0.0)
    if not isfinite(low) or not isfinite(high):
        raise ValueError(f"{name} holds what is no finite number")
    if low < 0 and name.endswith(NEVER_BELOW_0):
        raise ValueError(f"{name} holds {low:g}, though it adds up squares")


def _form(values: Tensor) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} {[*values.shape]}"
