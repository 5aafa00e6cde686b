"""Why a file of the log could not be read, for the person who can do something about it."""

import socket
from collections.abc import Sequence

import pyarrow as pa

from schemas.errors import Refusal, on_one_line


def null_of_fixed_size(where: str, schema: pa.Schema, columns: Sequence[str]) -> Refusal:
    names = [repr(one.name) for one in schema if one.name in columns and pa.types.is_fixed_size_list(one.type)]
    return Refusal(
        found=f"a null among lists of a fixed size, which Parquet does not give back, in column {' or '.join(names)}",
        expected="lists of any size, among which there may be nulls, or of a fixed size without nulls",
        where=where,
        remedy="write the column as plain lists: cast it to pyarrow.list_(...) where the log is written",
    )


def unreadable(where: str, error: Exception) -> Refusal:
    if isinstance(error, FileNotFoundError):  # which object stores say without the system's number
        return Refusal(
            found=f"no file, which was there when the log was listed; on the node {socket.gethostname()}",
            expected="the files of a day as they are when it is complete, to be seen by every node",
            where=where,
            remedy="put the file back, or give the command again: it lists the log as it is then",
        )
    if isinstance(error, OSError) and (
        error.errno or type(error) is not OSError
    ):  # the system's word, and not the Parquet reader's
        return Refusal(
            found=f"a file that cannot be read: {on_one_line(error)}",
            expected="a file of the log, with permission to read it",
            where=where,
            remedy="check the file's permissions and its disk; the same command goes on from here",
        )
    return Refusal(
        found=f"a file that is not whole Parquet: {on_one_line(error)}",
        expected="a Parquet file, written to its end",
        where=where,
        remedy="write the file again; have its writer use a temporary name and move it when complete",
    )
