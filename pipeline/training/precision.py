"""What the layers' matrix products are computed in while training. Scoring is float32 everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]
CPU_FLAGS = ("avx512_bf16", "amx_bf16")


def resolve(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> Precision:
    """`auto` is bfloat16 where the hardware multiplies it: elsewhere it would be emulated, and slower."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if _multiplies_bfloat16(device) else "float32"


@cache
def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    return any(flag in flags for flag in CPU_FLAGS)


@contextmanager
def matmuls_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Autocast to bfloat16, or float32, on a CPU by oneDNN (on AMD twice as fast as MKL); as it was afterwards.

    `medium` asks for oneDNN, which then rounds float32 to bfloat16 where the CPU multiplies that; of a GPU it asks for
    TF32, with 10 bits of mantissa.
    """
    before = torch.get_float32_matmul_precision()
    by_onednn = device.type == "cpu" and not _multiplies_bfloat16(device)
    torch.set_float32_matmul_precision("medium" if by_onednn else "highest")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
