"""What the reader is told of an exception."""

import errno
import re
import socket
from datetime import date

import botocore.exceptions
import pyarrow as pa
import pytest
from command import nightjar
from disks import full_disk
from faults import Call, at

from jobs import errors
from pipeline.data import spread
from pipeline.data.logs import Part
from pipeline.runtime import files
from pipeline.runtime.raised import Raised, in_a_line
from schemas.errors import Refusal, on_one_line


def test_what_the_file_system_says_becomes_words(tmp_path):
    with pytest.raises(OSError, match="File too large") as failed, full_disk():
        files.write_bytes(f"{tmp_path}/file", b"new")
    words = errors.in_words(failed.value)
    assert words.startswith("files cannot be read or written: [Errno 27] File too large")
    assert words.endswith("; the same command goes on from here")


def test_a_refusal_has_four_lines_whatever_a_column_is_called():
    name = "what they\nsaid\r\nof\u2028it"
    words = errors.in_words(
        Refusal(found=f"no column {name!s}", expected=name, where=name, remedy=f"leave {name} away")
    )
    assert words is not None
    assert words.splitlines() == [
        "found     no column what they said of it",
        "expected  what they said of it",
        "where     what they said of it",
        "remedy    leave what they said of it away",
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError("s3://me:secret@bucket/logs: AccessDenied"),
            "files cannot be read or written: s3://***@bucket/logs: AccessDenied; "
            f"{files.CREDENTIALS}; the same command goes on from here",
        ),
        (
            botocore.exceptions.EndpointConnectionError(
                endpoint_url="http://store/day?X-Amz-Credential=AKIA0&X-Amz-Signature=5ec2e7&partNumber=1"
            ),
            "files cannot be read or written: Could not connect to the endpoint URL: "
            '"http://store/day?X-Amz-Credential=***&X-Amz-Signature=***&partNumber=1"; '
            "the same command goes on from here",
        ),
        (TimeoutError(), "files cannot be read or written: TimeoutError; the same command goes on from here"),
    ],
)
def test_words_say_what_and_hold_no_secret(error, words):
    assert errors.in_words(error) == words


@pytest.mark.parametrize("bug", [AssertionError("rows"), TypeError("None"), KeyError("fm"), ZeroDivisionError()])
def test_a_bug_keeps_its_traceback(tmp_path, bug):
    def meet() -> None:
        raise bug

    assert errors.in_words(bug) is None
    with at(Call("before", "pipeline.synthetic.log:generate"), meet), pytest.raises(type(bug)) as shown:
        nightjar("generate", "logs", cwd=tmp_path)
    assert shown.value is bug, "Python prints its traceback, and exits 1"


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("met", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/mnt/part-0.parquet"),
            "[Errno 28] No space left on device: '/mnt/part-0.parquet'",
        ),
        (botocore.exceptions.NoCredentialsError(), "Unable to locate credentials"),
    ],
)
def test_what_a_task_on_another_node_met_is_told_without_its_traceback(capfd, met, words):
    schema = pa.schema([("day", pa.date32())])

    def write(part: Part) -> pa.Table:
        raise met

    with pytest.raises(OSError, match=re.escape(words)) as failed:
        list(spread.map_parts([Part(date(2026, 11, 1), index, ()) for index in range(2)], write, schema))
    remedy = f"{files.CREDENTIALS}; " if "credentials" in words else ""
    assert errors.in_words(failed.value) == (
        f"files cannot be read or written: {words}, on the node {socket.gethostname()}; "
        f"{remedy}the same command goes on from here"
    )
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_what_a_lone_task_met_is_told_without_its_traceback():
    import ray

    def write(raised: Exception) -> None:
        raise raised

    def met(raised: Exception) -> str | None:
        with pytest.raises(ray.exceptions.RayTaskError) as failed:
            ray.get(ray.remote(write).remote(raised))
        return errors.in_words(failed.value)

    assert met(OSError(errno.ENOSPC, "No space left on device")) == (
        "files cannot be read or written: [Errno 28] No space left on device; the same command goes on from here"
    )
    assert met(TypeError("a bug")) is None


TRACEBACK = """\x1b[36mray::SplitCoordinator.get()\x1b[39m (pid=229, ip=10.0.0.7, actor_id=899b54f)
  File "feed.py", line 37, in read
    raise error
{}

The above exception was the direct cause of the following exception:

\x1b[36mray::MapBatches(read)()\x1b[39m (pid=243, ip=10.0.0.7)
ray.exceptions.UserCodeException: UDF failed to process a data block.
Failed to apply UDF transform after 1/1 attempts (total backoff 0.0s)."""


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        ("FileNotFoundError: s3://clicks/part-0.parquet", "FileNotFoundError: s3://clicks/part-0.parquet"),
        (
            "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
            "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
        ),
        ("schemas.errors.Failure: part-0.parquet is damaged:\nagain", "part-0.parquet is damaged: again"),
        ("TypeError: 'NoneType' object is not iterable", "TypeError: 'NoneType' object is not iterable"),
        ("AssertionError", "AssertionError"),
    ],
    ids=["file", "credentials", "in words", "bug", "bug without words"],
)
def test_of_a_task_s_hundred_lines_one_is_left_that_names_the_node(raised, words):
    assert in_a_line(RuntimeError(TRACEBACK.format(raised))) == f"{words}, on the node 10.0.0.7"
    assert Raised.parse(TRACEBACK.format(raised)).is_of_files == ("s3://" in raised or "botocore" in raised)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (ValueError("one\n  and\ttwo "), "one and two"),
        (KeyError(), "KeyError"),
        ("", ""),
        ("word " * 100, ("word " * 100)[:200]),
    ],
    ids=["lines", "nothing", "no-text", "much"],
)
def test_what_others_say_stands_on_one_line_and_who_says_nothing_is_named(said, line):
    assert on_one_line(said) == line


def test_a_lone_error_keeps_its_name_and_its_words():
    assert in_a_line(ValueError("no rows\nat all")) == "ValueError: no rows at all"
