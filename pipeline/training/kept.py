"""What stages have left behind, before a run goes on from it: it is looked through, and dropped where it is damaged."""

from collections.abc import Collection

import fsspec

from pipeline.runtime import files, trusted
from pipeline.runtime.trusted import Damaged
from pipeline.training import checkpoint, published, tensor_files
from pipeline.training.early_stop import BEST


def stage(uri: str) -> bool:
    """Whether a finished stage is published there; if not, the place is empty then. Cost: that of reading it all."""
    if not published.is_published(uri):
        files.remove(uri)  # of an attempt that was cut short, perhaps of other ranks, or of a run that is over
        return False
    try:
        trusted.require_whole(uri)
        _check(uri, files.names(uri))
    except Damaged as damaged:
        trusted.drop(uri, damaged)
        return False
    return True


def check_checkpoint(uri: str) -> None:
    """Raise Damaged where a stage could not go on from the checkpoint in that folder."""
    _check(uri, _names(uri))
    progress = trusted.read(f"{uri}/{checkpoint.PROGRESS}", checkpoint.parse_progress)
    if progress.best_step:
        _check(f"{uri}/{BEST}", _names(f"{uri}/{BEST}"))


def _check(uri: str, names: Collection[str]) -> None:
    """Look through the files of these names, which must be all that a stage's state needs."""
    num_shards = trusted.read(f"{uri}/{checkpoint.PROGRESS}", checkpoint.parse_num_shards)
    for name in sorted({*names, *checkpoint.state_files(num_shards)}):
        if name.endswith(".safetensors"):
            tensor_files.check(f"{uri}/{name}")
        elif name == checkpoint.PROGRESS:
            trusted.read(f"{uri}/{name}", checkpoint.parse_progress)
        elif name == published.CALIBRATION:
            trusted.read(f"{uri}/{name}", published.parse_calibration)
        elif name.endswith(".npz"):
            trusted.read(f"{uri}/{name}", trusted.arrays)


def _names(uri: str) -> list[str]:
    fs, path = fsspec.core.url_to_fs(uri)
    if not fs.isdir(path):
        raise Damaged(uri, "it is missing")
    return files.names(uri)
