"""A folder takes another's place when all of it is there, so that a reader finds the old one whole, or the new one."""

from collections.abc import Collection

import fsspec

from pipeline.runtime.files import SUCCESS


def replace(waiting_uri: str, place_uri: str, aside_uri: str, names: Collection[str]) -> None:
    """Put the waiting folder, of files of these names and `_SUCCESS`, into the place of what was there.

    What else the waiting one holds, as the half of a file, is removed. On a local disk what was there lies `aside`
    then, for the caller to remove; object stores keep it nowhere, and the waiting one where it was. Cut short, the same
    call goes on.
    """
    fs, waiting = fsspec.core.url_to_fs(waiting_uri)
    place, aside = (fsspec.core.url_to_fs(uri)[1] for uri in (place_uri, aside_uri))
    fs.invalidate_cache()
    if "file" in fs.protocol:
        _keep_only(fs, waiting, {*names, SUCCESS})
        _move(fs, waiting, place, aside)
    else:
        _copy(fs, waiting, place, names)


def _keep_only(fs: fsspec.AbstractFileSystem, folder: str, names: Collection[str]) -> None:
    """A process that was killed leaves half a file, under a temporary name."""
    for path in fs.ls(folder, detail=False):
        if path.rsplit("/", 1)[-1] not in names:
            fs.rm_file(path)


def _move(fs: fsspec.AbstractFileSystem, waiting: str, place: str, aside: str) -> None:
    """A reader finds the old folder whole, for a moment none, then the new one whole.

    A crash in that moment leaves the new one waiting, and the next call puts it into its place.
    """
    if fs.exists(aside):
        fs.rm(aside, recursive=True)
    if fs.exists(place):
        fs.mv(place, aside)
    fs.mv(waiting, place)


def _copy(fs: fsspec.AbstractFileSystem, waiting: str, place: str, names: Collection[str]) -> None:
    """Object stores move nothing at once: `_SUCCESS` goes first and comes last, and no old part meets a new one.

    A crash in between leaves a folder without `_SUCCESS`; the new one still waits whole, and the next call copies it.
    """
    if fs.exists(f"{place}/{SUCCESS}"):
        fs.rm_file(f"{place}/{SUCCESS}")
    if fs.exists(place):
        fs.rm(place, recursive=True)
    fs.copy([f"{waiting}/{name}" for name in names], [f"{place}/{name}" for name in names])
    fs.cp_file(f"{waiting}/{SUCCESS}", f"{place}/{SUCCESS}")
