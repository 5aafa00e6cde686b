"""What the reader is told of an exception."""

import errno
import re
from datetime import date

import botocore.exceptions
import pyarrow as pa
import pytest
from command import nightjar
from disks import full_disk
from faults import Call, at

from jobs import errors
from pipeline.data import passes
from pipeline.data.logs import Part
from pipeline.runtime import files


def test_what_the_file_system_says_becomes_words(tmp_path):
    with pytest.raises(OSError, match="File too large") as failed, full_disk():
        files.write_bytes(f"{tmp_path}/file", b"new")
    words = errors.in_words(failed.value)
    assert words.startswith("files cannot be read or written: [Errno 27] File too large")
    assert words.endswith("; the same command goes on from here")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError("s3://me:secret@bucket/logs: AccessDenied"),
            "files cannot be read or written: s3://***@bucket/logs: AccessDenied; the same command goes on from here",
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
        list(passes.map_parts([Part(date(2026, 11, 1), index, ()) for index in range(2)], write, schema))
    assert errors.in_words(failed.value) == (
        f"files cannot be read or written: {words}; the same command goes on from here"
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
