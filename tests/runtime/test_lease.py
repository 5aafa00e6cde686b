import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from pipeline.runtime import files
from pipeline.runtime.lease import KEPT_GENERATIONS, Lost, Wait, lease
from schemas.errors import Busy

REPOSITORY = Path(__file__).parents[2]
# Asked for a folder's lease by a line of stdin, it answers, and holds it until the next line.
CHILD = """
import sys
from pipeline.runtime.lease import Lost, lease
from schemas.errors import Busy

seconds = float(sys.argv[1])
for line in sys.stdin:
    try:
        with lease(line.strip(), seconds, "a night") as held:
            print("held", flush=True)
            sys.stdin.readline()
            try:
                held.check()
                print("kept", flush=True)
            except Lost:
                print("lost", flush=True)
    except Busy:
        print("busy", flush=True)
        sys.stdin.readline()
        print("was busy", flush=True)
"""


class Clock:
    """Tells what it is told."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Child:
    """A real process that takes leases."""

    def __init__(self, seconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(seconds)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def children(number: int, seconds: float = 60.0) -> Iterator[list[Child]]:
    started = [Child(seconds) for _ in range(number)]
    try:
        yield started
    finally:
        for child in started:
            child.end()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "lease")


def generations(folder: str) -> list[int]:
    return sorted(int(name.removesuffix(".json")) for name in files.names(folder))


def test_a_second_one_is_refused_and_told_who_holds_it(folder):
    clock = Clock()
    with lease(folder, 60, "the retrain of ctr", clock), pytest.raises(Busy) as refused, lease(folder, 60, "x", clock):
        pytest.fail("two hold it")
    assert (refused.value.what, refused.value.pid) == ("the retrain of ctr", os.getpid())
    assert refused.value.since == datetime.fromtimestamp(1_800_000_000, UTC)
    assert refused.value.expires == datetime.fromtimestamp(1_800_000_060, UTC)
    assert str(os.getpid()) in str(refused.value)


def test_generations_rise_and_only_the_newest_few_are_kept(folder):
    held = []
    for _ in range(8):
        with lease(folder, 60, "a night") as mine:
            held.append(mine.generation)
    assert held == [1, 2, 3, 4, 5, 6, 7, 8]
    assert generations(folder) == held[-KEPT_GENERATIONS:]


@pytest.mark.parametrize("how", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_released_however_the_block_ends(folder, how):
    with pytest.raises(how), lease(folder, 60, "a night"):
        raise how
    with lease(folder, 60, "a night") as mine:
        mine.check()


def test_another_folders_lease_is_another_lease(folder):
    with lease(f"{folder}/ctr", 60, "a night") as one, lease(f"{folder}/cvr", 60, "a night") as two:
        one.check()
        two.check()


@pytest.mark.slow
def test_of_four_processes_at_once_exactly_one_holds_it_in_every_round(folder):
    with children(4) as contenders:
        for _ in range(50):
            for child in contenders:
                child.say(folder)
            assert sorted(child.answer() for child in contenders) == ["busy", "busy", "busy", "held"]
            for child in contenders:
                child.say("end")
            assert sorted(child.answer() for child in contenders) == ["kept", "was busy", "was busy", "was busy"]


def test_after_it_expired_another_takes_over_and_the_first_has_lost(folder):
    clock = Clock()
    with lease(folder, 60, "a night", clock) as first:
        clock.seconds += 59
        first.check()
        with pytest.raises(Busy), lease(folder, 60, "a night", clock):
            pytest.fail("it has a second left")
        clock.seconds += 1
        with pytest.raises(Lost, match="expired"):
            first.check()
        with lease(folder, 60, "another night", clock) as second:
            assert (first.generation, second.generation) == (1, 2)
            second.check()
            assert not first.renew()
            with pytest.raises(Lost):
                first.check()
        assert generations(folder) == [1, 2], "what the first left behind is below"
    with lease(folder, 60, "a night", clock) as third:
        assert third.generation == 3, "the first one's release released nothing"


def test_renewing_moves_the_end_on(folder):
    clock = Clock()
    with lease(folder, 60, "a night", clock) as mine:
        clock.seconds += 40
        assert mine.renew()
        clock.seconds += 40
        mine.check()
        with pytest.raises(Busy) as refused, lease(folder, 60, "a night", clock):
            pytest.fail("it was renewed")
        assert refused.value.expires == datetime.fromtimestamp(1_800_000_100, UTC)


@pytest.mark.slow
def test_a_living_holder_keeps_a_lease_that_is_shorter_than_its_work(folder):
    with children(1) as (other,), lease(folder, 0.6, "a long night") as mine:
        time.sleep(1.5)
        mine.check()
        other.say(folder)
        assert other.answer() == "busy"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_on_the_same_host_a_killed_holder_is_followed_at_once(folder):
    with children(1, seconds=600) as (victim,):
        victim.say(folder)
        assert victim.answer() == "held"
        victim.process.send_signal(signal.SIGKILL)
        victim.process.wait()
        with lease(folder, 600, "a night") as mine:
            assert mine.generation == 2


def test_a_killed_holder_of_another_host_is_waited_for_until_it_expires(folder):
    clock = Clock()
    with lease(folder, 60, "a night", clock) as mine:
        record = f"{folder}/{mine.generation}.json"
        of_this_host = files.read_bytes(record)
    # As it stood when held, from a host where the process ids mean other processes.
    place = of_this_host.split(b'"place": "')[1].split(b'"')[0]
    elsewhere = of_this_host.replace(place, b"elsewhere").replace(b'"released": true', b'"released": false')
    files.write_bytes(record, elsewhere.replace(f'"pid": {os.getpid()}'.encode(), b'"pid": 4194303'))
    with pytest.raises(Busy), lease(folder, 60, "a night", clock):
        pytest.fail("it may live")
    clock.seconds += 60
    with lease(folder, 60, "a night", clock) as next_one:
        assert next_one.generation == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(folder):
    with lease(folder, 60, "a night"):
        content = files.read_bytes(f"{folder}/1.json")
    started = content.split(b'"started": "')[1].split(b'"')[0]
    files.write_bytes(f"{folder}/1.json", content.replace(started, b"1").replace(b": true", b": false"))
    with lease(folder, 60, "a night") as mine:
        assert mine.generation == 2


@pytest.mark.slow
def test_a_paused_holder_loses_it_and_notices(folder):
    with children(1, seconds=1.0) as (paused,):
        paused.say(folder)
        assert paused.answer() == "held"
        paused.process.send_signal(signal.SIGSTOP)
        with pytest.raises(Busy), lease(folder, 60, "a night"):
            pytest.fail("it has not expired")
        time.sleep(1.2)
        with lease(folder, 60, "a night") as mine:
            paused.process.send_signal(signal.SIGCONT)
            paused.say("go on")
            assert paused.answer() == "lost"
            mine.check()


def test_who_died_between_creating_and_writing_is_waited_for_too(folder):
    Path(folder).mkdir()
    (Path(folder) / "1.json").touch()
    with pytest.raises(Busy), lease(folder, 60, "a night"):
        pytest.fail("it may be written yet")
    os.utime(Path(folder) / "1.json", (time.time() - 61,) * 2)
    with lease(folder, 60, "a night") as mine:
        assert mine.generation == 2


HELD = {
    "owner": "0123",
    "what": "a night",
    "host": "elsewhere",
    "pid": 7,
    "place": "elsewhere",
    "started": "1",
    "since": 1_700_000_000.0,
    "expires_at": 1e10,
}
ODD: dict[str, object] = {
    "no-bytes": b"",
    "half": json.dumps(HELD).encode()[:40],
    "no-utf-8": b"\xff\xfe\x00{",
    "null": None,
    "a-list": [HELD],
    "a-number": 7,
    "nested": b"[" * 100_000,
    "no-keys": {},
    "another-versions-keys": {"holder": HELD, "expires": "tomorrow"},
    "one-key-more": {**HELD, "color": "blue"},
    "seconds-of-ever": {**HELD, "seconds": 1e300},
    "no-pid": {**HELD, "pid": 1e300},
    "half-a-pid": {**HELD, "pid": 3.5},
    "a-large-pid": {**HELD, "pid": 2**70},
    "a-pid-below-0": {**HELD, "pid": -1},
    "a-released-text": {**HELD, "released": "no"},
    **{
        f"{key}-{name}": {**HELD, key: value}
        for key in ("since", "expires_at")
        for name, value in {
            "null": None,
            "text": "noon",
            "true": True,
            "negative": -1e12,
            "far": 1e300,
            "nan": float("nan"),
            "infinite": float("inf"),
            "beyond-floats": 10**400,
            "far-off": 4e11,
        }.items()
    },
}


@pytest.mark.parametrize("odd", [*ODD])
def test_a_lease_file_that_cannot_be_is_waited_for_no_longer_than_a_lease_from_when_it_was_written(folder, odd):
    content, path = ODD[odd], Path(folder) / "1.json"
    Path(folder).mkdir()
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    began = time.time()
    with pytest.raises(Busy) as refused, lease(folder, 60, "a night"):
        pytest.fail("it may be held")
    assert began - 1 < refused.value.expires.timestamp() - 60 < time.time() + 1
    assert "is at work already" in str(refused.value)
    os.utime(path, (time.time() - 61,) * 2)
    with lease(folder, 60, "a night") as mine:
        assert mine.generation == 2


def test_a_lease_file_in_whose_place_a_folder_is_expires_too(folder):
    (Path(folder) / "1.json").mkdir(parents=True)
    with pytest.raises(Busy), lease(folder, 60, "a night"):
        pytest.fail("it may be held")
    os.utime(Path(folder) / "1.json", (time.time() - 61,) * 2)
    with lease(folder, 60, "a night") as mine:
        assert mine.generation == 2


def test_a_longer_lease_than_ones_own_is_waited_for(folder):
    clock = Clock()
    with lease(folder, 86_400, "a night", clock):
        clock.seconds += 3600
        with pytest.raises(Busy) as refused, lease(folder, 60, "another night", clock):
            pytest.fail("it is held")
        assert refused.value.expires.timestamp() == 1_800_086_400


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_on_s3_who_comes_second_is_refused_and_an_expired_one_followed(bucket):
    clock, folder = Clock(), f"{bucket}/lease"
    with lease(folder, 60, "a night", clock) as first:
        with pytest.raises(Busy), lease(folder, 60, "a night", clock):
            pytest.fail("two hold it")
        assert first.renew()
        clock.seconds += 60
        with lease(folder, 60, "a night", clock) as second:
            assert second.generation == 2
            second.check()
            with pytest.raises(Lost):
                first.check()


@pytest.mark.filterwarnings("default")
@pytest.mark.slow  # a server that speaks S3
def test_s3_itself_refuses_to_create_a_generation_twice(bucket):
    fs = fsspec.filesystem("s3")
    fs.pipe_file(f"{bucket}/once.json", b"first", mode="create")
    with pytest.raises(FileExistsError):
        fs.pipe_file(f"{bucket}/once.json", b"second", mode="create")
    assert fs.cat_file(f"{bucket}/once.json") == b"first"


@pytest.mark.filterwarnings("default")
@pytest.mark.slow
def test_on_s3_processes_see_each_others_leases(bucket):
    with children(1) as (other,):
        for _ in range(3):
            with lease(f"{bucket}/both", 60, "a night"):
                other.say(f"{bucket}/both")
                assert other.answer() == "busy"
            other.say("end")
            assert other.answer() == "was busy"
        other.say(f"{bucket}/both")
        assert other.answer() == "held"
        with pytest.raises(Busy), lease(f"{bucket}/both", 60, "a night"):
            pytest.fail("two hold it")


def from_elsewhere(folder: Path, expires_in: float) -> Path:
    """The lease of a process on another host."""
    folder.mkdir()
    with lease(str(folder), 60, "a night"):
        [file] = folder.iterdir()
        held = json.loads(file.read_text())
    now = time.time()
    elsewhere = {"host": "elsewhere", "place": "elsewhere", "since": now, "expires_at": now + expires_in}
    file.write_text(json.dumps(held | elsewhere))
    return file


@pytest.mark.slow
def test_the_lease_of_a_host_that_was_lost_is_waited_for_until_it_expires(tmp_path):
    from_elsewhere(tmp_path / "lease", expires_in=0.6)
    told: list[Busy] = []
    with pytest.raises(Busy), lease(str(tmp_path / "lease"), 0.6, "again", wait=Wait(0, told.append)):
        pass
    with lease(str(tmp_path / "lease"), 0.6, "again", wait=Wait(60, told.append)) as held:
        held.check()
    assert [busy.host for busy in told] == ["elsewhere"]


@pytest.mark.slow
def test_a_holder_that_renews_its_lease_is_not_waited_for(tmp_path):
    file = from_elsewhere(tmp_path / "lease", expires_in=60)
    renewed = json.loads(file.read_text())
    renewal = threading.Timer(0.3, lambda: file.write_text(json.dumps(renewed | {"expires_at": time.time() + 60})))
    renewal.start()
    began = time.monotonic()
    with pytest.raises(Busy), lease(str(tmp_path / "lease"), 0.6, "again", wait=Wait(60, lambda busy: None)):
        pass
    assert time.monotonic() - began < 30
    renewal.join()
