"""Every verb meets every fault of what it stands on: words, the documented exit code, and never a traceback."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import s3fs
import yaml
from command import Done, nightjar
from disks import fill, mounted, permissions_bind
from faults import Call, at
from night_folder import NightFolder, day
from processes import Relay, free_port, served

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]

# Exit codes: 0 where the verb needs nothing of what is missing, else 1 failed or 2 refused; `-` where there is nothing
# to ask. `backfill --go-on` tells of its night what `nightly` says, and then which nights have failed. `ui` is left
# out: it becomes MLflow's own server before it opens a file.
TABLE = """
                  generate train nightly backfill plan status rollback prune rebuild sweep evaluate score step feed job
full_disk            1       2      2       1      2     0       1         0    1      1      0       1    1    1    1
unwritable           2       1      1       1      0     0       1         1    1      1      0       2    -    -    -
unreadable_work      -       1      1       1      1     1       1         1    1      1      1       2    -    -    -
unreadable_log       -       2      2       2      2     2       0         0    2      2      2       2    -    -    -
unreadable_day       -       2      2       1      2     0       0         0    2      2      2       2    -    -    -
mlflow_down          -       2      2       1      2     2       2         2    2      2      2       2    -    -    -
mlflow_lost          -       1      1       1      1     1       1         1    1      1      1       1    -    -    -
no_bucket_of_log     -       2      2       2      2     2       0         0    2      2      2       2    -    -    -
no_endpoint_of_log   -       2      2       2      2     2       0         0    2      2      2       2    -    -    -
no_bucket            1       1      1       1      0     2       2         2    1      1      0       1    -    -    -
no_endpoint          1       1      1       1      1     1       1         1    1      1      0       1    -    -    -
"""
WORDS: dict[str | tuple[str, int], str] = {
    "full_disk": "No space left on device",
    "unwritable": "Permission denied",
    "unreadable_work": "Permission denied",
    "unreadable_log": "Permission denied",
    "unreadable_day": "a file that cannot be read: [Errno 13] Permission denied",
    "mlflow_down": "Connection refused",
    "mlflow_lost": "does not take what it is sent: [Errno 111] Connection refused; the same command goes on from here",
    "no_bucket_of_log": "no date=YYYY-MM-DD folder",
    "no_endpoint_of_log": "Could not connect to the endpoint URL",
    "no_bucket": "The specified bucket does not exist",
    ("no_bucket", 2): "no work folder at s3://nowhere/work",
    "no_endpoint": "Could not connect to the endpoint URL",
}
ROOM = "make room, for example by `nightjar prune`"  # of what is refused before it would fill the disk
WORDS_OF_VERB = {("full_disk", verb): ROOM for verb in ("train", "nightly", "backfill", "plan")}
NIGHT, MODEL = str(day(4)), ("--model", "models:/ctr@champion")
CONFIG = ("--config", "nightly.yaml")
SMALL = ("--fields", "2", "--vocab", "100")
ARGUMENTS = {
    "generate": ("--days", "1", "--rows-per-day", "100"),
    "train": CONFIG,
    "nightly": (*CONFIG, "--date", NIGHT),
    "backfill": (*CONFIG, "--from", NIGHT, "--to", NIGHT, "--go-on"),
    "plan": CONFIG,
    "status": CONFIG,
    "rollback": CONFIG,
    "prune": CONFIG,
    "rebuild": CONFIG,
    "sweep": (*CONFIG, "--sweep", "sweep.yaml", "--set", "data.validation_share=0.2", "--out", "best.yaml"),
    "evaluate": (*CONFIG, *MODEL),
    "score": (*CONFIG, *MODEL, "--date", NIGHT),
    "step": (*SMALL, "--model", "fm", "--seconds", "0.01"),
    "feed": (*SMALL, "--rows", "1000"),
    "job": (*SMALL, "--model", "fm", "--rows", "20000"),
}


def cells() -> list[tuple[str, str, int]]:
    """Fault, verb and exit code."""
    (_, *verbs), *rows = ([None, *line.split()] if line[0] == " " else line.split() for line in TABLE.split("\n")[1:-1])
    return [
        (fault, verb, int(code))
        for fault, *codes in rows
        for verb, code in zip(verbs, codes, strict=True)
        if code != "-"
    ]


@dataclass
class Place:
    """Where a command runs: a work folder with two nights behind it, and where its results go."""

    folder: NightFolder
    sets: dict[str, str]
    out: str
    around: ExitStack
    """Ends what a fault has changed."""
    mlflow_port: int

    @property
    def work(self) -> Path:
        return self.folder.path / "work"

    @property
    def logs(self) -> Path:
        return self.folder.path / "logs"

    def run(self, verb: str) -> Done:
        arguments = [verb] if verb not in ("step", "feed", "job") else ["bench", verb]
        arguments += ARGUMENTS[verb]
        if verb == "generate":
            arguments.append(self.out)
        if verb == "score":
            arguments += ["--out", self.out]
        if "--config" in arguments:
            arguments += [word for key, value in self.sets.items() for word in ("--set", f"{key}={value}")]
        return nightjar(*arguments, cwd=self.folder.path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> NightFolder:
    """The nights of days 2 and 3, and a copy of their work folder."""
    path = tmp_path_factory.mktemp("faults")
    folder = NightFolder.write(path, 4, mlflow={"tracking_uri": f"sqlite:///{path}/mlflow.db"})
    space = {"stages.fm.embedding.learning_rate": {"choice": [0.02, 0.03]}}
    (path / "sweep.yaml").write_text(yaml.safe_dump({"stage": "fm", "trials": 2, "space": space}))
    done = folder.run("backfill", "--from", str(day(2)), "--to", str(day(3)))
    assert done.exit_code == 0, done.stderr
    assert folder.aliases() == {"challenger": "2", "champion": "2", "previous_champion": "1"}
    (path / "work/results").mkdir()
    shutil.copytree(path / "work", path / "prepared")
    return folder


@pytest.fixture(scope="module")
def mlflow_port(prepared: NightFolder) -> Iterator[int]:
    """Of a server over the two nights' database."""
    port = free_port()
    command = ["server", "--backend-store-uri", f"sqlite:///{prepared.path}/mlflow.db", "--workers", "1"]
    with served(command, port, prepared.path):
        yield port


@pytest.fixture
def place(prepared: NightFolder, mlflow_port: int, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """All cases share the work folder and MLflow's database: no fault lets a verb come to a result."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with ExitStack() as around:
        yield Place(prepared, {}, str(prepared.path / "work/results/out"), around, mlflow_port)


def full_disk(place: Place) -> None:
    """Of the work folder, the results and temporary files."""
    fill(small_disk(place))


def small_disk(place: Place) -> Path:
    disk = place.around.enter_context(mounted(place.work, "16m"))
    shutil.copytree(place.folder.path / "prepared", disk, dirs_exist_ok=True)
    place.around.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
    tempfile.tempdir = str(disk)
    return disk


def forbid(place: Place, mode: int, *paths: Path) -> None:
    for path in paths:
        place.around.callback(path.chmod, path.stat().st_mode)
        path.chmod(mode)
    place.around.enter_context(permissions_bind())


def unwritable(place: Place) -> None:
    forbid(place, 0o555, place.work, *(path for path in place.work.rglob("*") if path.is_dir()))


def unreadable_work(place: Place) -> None:
    forbid(place, 0, place.work)


def unreadable_log(place: Place) -> None:
    forbid(place, 0, place.logs)


def unreadable_day(place: Place) -> None:
    forbid(place, 0, place.logs / f"date={NIGHT}/part-0.parquet")


def mlflow_down(place: Place) -> None:
    place.sets["mlflow.tracking_uri"] = f"http://127.0.0.1:{free_port()}"


def mlflow_lost(place: Place) -> None:
    """It has answered, and then does no more."""
    relay = Relay(place.mlflow_port)
    place.sets["mlflow.tracking_uri"] = f"http://127.0.0.1:{relay.port}"
    for function in ("reach", "find"):  # of those who record, and of those who only read
        place.around.enter_context(at(Call("after", f"pipeline.registry.server:{function}"), relay.cut))


def no_bucket_of_log(place: Place) -> None:
    place.sets["data.logs_uri"] = "s3://nowhere/logs"


def no_bucket(place: Place) -> None:
    """Of the work folder and the results."""
    place.sets["work_uri"], place.out = "s3://nowhere/work", "s3://nowhere/out"


def no_endpoint_of_log(place: Place) -> None:
    no_bucket_of_log(place)
    lose_endpoint(place)


def no_endpoint(place: Place) -> None:
    no_bucket(place)
    lose_endpoint(place)


def lose_endpoint(place: Place) -> None:
    s3fs.S3FileSystem.clear_instance_cache()  # which would go on with the endpoint it has found
    place.around.callback(s3fs.S3FileSystem.clear_instance_cache)
    environment = place.around.enter_context(pytest.MonkeyPatch.context())
    environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")


FAULTS: list[Callable[[Place], None]] = [
    full_disk,
    unwritable,
    unreadable_work,
    unreadable_log,
    unreadable_day,
    mlflow_down,
    mlflow_lost,
    no_bucket_of_log,
    no_endpoint_of_log,
    no_bucket,
    no_endpoint,
]


@pytest.mark.parametrize(("fault", "verb", "exit_code"), cells())
def test_a_fault_ends_in_words_and_the_documented_exit_code(place, fault, verb, exit_code):
    {meet.__name__: meet for meet in FAULTS}[fault](place)
    done = place.run(verb)
    said = done.stderr + done.stdout
    assert done.exit_code == exit_code, said
    assert "Traceback" not in said
    if exit_code:
        assert (WORDS_OF_VERB.get((fault, verb)) or WORDS.get((fault, exit_code), WORDS[fault])) in said


@pytest.mark.parametrize(
    ("verb", "moment"),
    [
        ("train", Call("before", "pipeline.retrain.run:encoded_store")),
        ("train", Call("before", "pipeline.training.checkpoint:save")),
        ("nightly", Call("before", "pipeline.training.fitting:fit")),
        ("nightly", Call("before", "pipeline.registry.registration:register")),
        ("rebuild", Call("after", "pipeline.data.passes:count_values")),
        ("score", Call("before", "pipeline.scoring.day_folder:DayFolder.publish")),
        ("sweep", Call("before", "pipeline.sweep.standings:Standings.complete")),
    ],
    ids=str,
)
def test_a_disk_that_fills_up_at_work_is_told_as_one(place, verb, moment):
    disk = small_disk(place)
    with at(moment, lambda: fill(disk)):
        done = place.run(verb)
    assert done.exit_code == 1, done.stderr
    assert "nightjar: files cannot be read or written: " in done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
