"""Nights that are submitted to a cluster with a token, from a machine that is none of its nodes."""

import json
import time
from dataclasses import dataclass
from subprocess import Popen

import box
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import write_day
from command import Done
from night_folder import ROWS, NightFolder, day

from pipeline.registry.tracking import connect
from pipeline.runtime import lease

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("default")]  # MLflow warns of its own
TOKEN = "of-the-cluster-0123456789abcdef0123456789abcdef"
AUTHORIZED = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
SECRET = "k3y-of-a-user-of-s3"
# Nights of this file's tests, each its own.
FIRST, TWICE, BUSY, LONG, AWAY, LOST, ONE_CLASS = 2, 3, 4, 5, 6, 7, 8
ENDLESS = ("--set", "stages.fm.epochs=5000", "--set", "mlflow.registered_model=endless")


@dataclass(frozen=True)
class Office:
    """A machine that commands are typed on, beside a cluster; both mount the folder with the log and the config."""

    cluster: box.RayCluster
    folder: NightFolder

    def nightjar(self, *arguments: str, **environment: str) -> Done:
        return self.cluster.box.driver.run(
            "nightjar", *arguments, env=self._env(environment), cwd=str(self.folder.path)
        )

    def begun(self, *command: str) -> "Popen[str]":
        """A command that goes on beside the test."""
        return self.cluster.box.driver.popen(*command, env=self._env({}), cwd=str(self.folder.path))

    def submit(self, *arguments: str, **environment: str) -> Done:
        return self.nightjar(*self.submitted(*arguments), **environment)

    def submitted(self, *arguments: str) -> list[str]:
        """The words of a submission; a night unless they name another verb."""
        verb, *options = arguments if not arguments[0].startswith("-") else ("nightly", *arguments)
        return ["submit", "--wait", "--shared-paths", "--", verb, "--config", "nightly.yaml", *options]

    def night(self, number: int, *arguments: str) -> list[str]:
        return ["--date", str(day(number)), *arguments]

    def jobs(self) -> list[dict[str, str]]:
        done = self.nightjar("jobs", "--json")
        assert done.exit_code == 0, done.stderr
        found: list[dict[str, str]] = json.loads(done.stdout)["jobs"]
        return found

    def job(self, night: int) -> dict[str, str]:
        """Of that night, when it is there."""
        self.wait_for(str(day(night)), "jobs")
        return next(job for job in self.jobs() if job["night"] == str(day(night)))

    def wait_for(self, words: str, *command: str) -> None:
        """Until a command of `nightjar` prints them."""
        while words not in self.nightjar(*command).stdout:
            time.sleep(1.0)

    def _env(self, more: dict[str, str]) -> dict[str, str]:
        return {"RAY_ADDRESS": self.cluster.dashboard, **AUTHORIZED, "AWS_SECRET_ACCESS_KEY": SECRET, **more}


def message_of(done: Done) -> dict[str, str]:
    """The four lines of a refusal."""
    assert done.exit_code == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stderr[done.stderr.index("nightjar: refused") :].splitlines()[1:5]
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}


@pytest.fixture(scope="module")
def office(machines: box.Box) -> Office:
    cluster = box.ray_cluster(machines, [2], AUTHORIZED, has_dashboard=True)
    folder = NightFolder.write(machines.shared, num_days=ONE_CLASS)
    rows = pq.read_table(machines.shared / f"logs/date={day(ONE_CLASS)}/part-0.parquet", partitioning=None)
    none = pa.array([0] * ROWS, pa.int8())
    write_day(
        machines.shared / "logs", day(ONE_CLASS), rows.set_column(rows.column_names.index("click"), "click", none)
    )
    return Office(cluster, folder)


@pytest.fixture(scope="module")
def first_night(office: Office) -> Done:
    done = office.submit(*office.night(FIRST))
    assert done.exit_code == 0, done.stdout + done.stderr
    return done


def test_a_night_that_is_submitted_ends_as_one_that_is_run_in_place(office, first_night):
    assert "models:/ctr/1 serves" in first_night.stdout
    assert office.folder.aliases()["champion"] == "1"
    assert "succeeded after" in first_night.stderr


def test_the_log_of_a_good_night_has_at_most_sixty_lines(office, first_night):
    log = office.nightjar("logs", office.job(FIRST)["id"])
    assert first_night.stdout == log.stdout
    assert len(log.stdout.splitlines()) <= 60, log.stdout


def test_the_same_night_submitted_again_is_answered_by_its_result_and_no_job(office, first_night):
    began = time.monotonic()
    again = office.submit(*office.night(FIRST))
    assert again.exit_code == 0, again.stderr
    assert "is done already" in again.stderr
    assert again.stdout.splitlines()[-2:] == first_night.stdout.splitlines()[-2:]
    assert [job["id"] for job in office.jobs() if job["night"] == str(day(FIRST))] == [office.job(FIRST)["id"]]
    assert time.monotonic() - began < 20


def test_the_job_server_shows_no_variable_of_the_shell_that_is_not_on_the_list(office, first_night):
    ask = "import json, ray.job_submission as r; print([j.dict() for j in r.JobSubmissionClient().list_jobs()])"
    shown = office.cluster.box.driver.run(
        "python", "-c", ask, env={"RAY_ADDRESS": office.cluster.dashboard, **AUTHORIZED}
    )
    assert "RAY_JOB_STOP_WAIT_TIME_S" in shown.stdout, shown.stderr
    assert SECRET not in shown.stdout
    assert TOKEN not in shown.stdout


def test_two_users_who_submit_the_same_night_at_once_have_one_job(office, first_night):
    both = [office.begun("nightjar", *office.submitted(*office.night(TWICE))) for _ in range(2)]
    ended = [(process.communicate(), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    assert [job["night"] for job in office.jobs()].count(str(day(TWICE))) == 1
    assert sum("is at work already" in stderr for (_, stderr), _ in ended) == 1, ended
    assert {stdout.splitlines()[-1] for (stdout, _), _ in ended} == {ended[0][0][0].splitlines()[-1]}


def test_the_exit_codes_of_refused_busy_and_stopped_commands_arrive(office, first_night):
    config = office.folder.config("mlflow.registered_model=busy")
    refused = office.begun("nightjar", *office.submitted("rollback", "--set", "mlflow.registered_model=none"))
    stopped = office.begun(
        "nightjar", *office.submitted(*office.night(ONE_CLASS, "--set", "mlflow.registered_model=stopped"))
    )
    with lease.lease(f"{config.work_uri}/leases/busy", 15, "a night of another"):
        busy = office.submit(*office.night(BUSY, "--set", "mlflow.registered_model=busy"))
    assert busy.exit_code == 3, busy.stdout + busy.stderr
    assert "a night of another is at work already" in busy.stdout
    for process, code, words in ((refused, 2, "nightjar: refused"), (stopped, 4, "the champion stays as it is")):
        stdout, stderr = process.communicate()
        assert process.returncode == code, stdout + stderr
        assert words in stdout


def test_a_failed_attempt_is_followed_by_the_next_one_and_one_of_other_work_is_not_touched(office, first_night):
    job = office.submit("rollback", "--set", "mlflow.registered_model=nobody")
    first = next(line.split()[0] for line in job.stderr.splitlines() if "submitted to" in line)
    stem = first.rpartition("-")[0]
    again = office.submit("rollback", "--set", "mlflow.registered_model=nobody")
    assert f"{stem}-2 submitted" in again.stderr
    take = ["ray", "job", "submit", "--no-wait", "--submission-id", f"{stem}-3", "--", "true"]
    taken = office.begun(*take)
    assert taken.wait() == 0, taken.communicate()
    message = message_of(office.submit("rollback", "--set", "mlflow.registered_model=nobody"))
    assert message["found"] == f"a job {stem}-3 of other work"


def test_ctrl_c_detaches_and_stop_ends_the_job_orderly(office, first_night):
    night = office.submitted(*office.night(LONG, *ENDLESS))
    interrupted = office.begun("timeout", "--preserve-status", "--signal=INT", "20", "nightjar", *night)
    stdout, stderr = interrupted.communicate()
    job = office.job(LONG)
    assert interrupted.returncode == 130, stdout + stderr
    assert f"detached: {job['id']} goes on" in stderr
    assert job["status"] == "RUNNING"
    waiting = office.begun("nightjar", *night)
    office.wait_for("train ...", "logs", job["id"])
    stopped = office.nightjar("stop", job["id"])
    assert stopped.exit_code == 0, stopped.stderr
    assert stopped.stdout == f"{job['id']} stopped\n"
    stdout, stderr = waiting.communicate()
    assert waiting.returncode == 143, stderr
    assert "is at work already" in stderr
    config = office.folder.config("mlflow.registered_model=endless")
    told = office.nightjar("logs", job["id"]).stdout
    assert "told to stop" in told, told
    assert not lease.is_held(f"{config.work_uri}/leases/endless", config.night.lease_seconds)
    tracking = connect(config.mlflow, config.work_uri)
    runs = tracking.client.search_runs([tracking.experiment_id], "attributes.status = 'RUNNING'")
    assert [run.info.run_name for run in runs] == []
    assert office.nightjar("stop", job["id"]).stdout == f"{job['id']} is over already: stopped\n"


def test_what_is_connected_to_ray_is_stopped_as_orderly_as_before(office):
    code = (
        "import signal, sys\n"
        "from pipeline.runtime.cluster import connected\n"
        "from schemas.config import ClusterConfig\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "with connected(ClusterConfig()):\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
    )
    env = {**AUTHORIZED, "RAY_ADDRESS": office.cluster.address}
    assert office.cluster.head.run("python", "-c", code, env=env).exit_code == 143


def test_a_dashboard_that_is_away_for_a_while_is_waited_for(office, first_night):
    """Its process is held, so that it takes connections and answers none."""
    night = office.submitted(*office.night(AWAY, *ENDLESS))
    waiting = office.begun("nightjar", *night)
    job = office.job(AWAY)
    office.wait_for("Running entrypoint", "logs", job["id"])
    find = "pgrep --full 'dashboard/dashboard.py' | head -1"
    pid = office.cluster.head.run("bash", "-c", find).stdout.strip()
    assert pid
    office.cluster.head.run("kill", "-STOP", pid)
    asked = office.nightjar("jobs")
    office.cluster.head.run("kill", "-CONT", pid)
    message = message_of(asked)
    assert "timed out" in message["found"]
    assert office.nightjar("stop", job["id"]).exit_code == 0
    stdout, stderr = waiting.communicate()
    assert waiting.returncode == 143, stdout + stderr
    assert "does not do what it is asked" in stderr
    assert "answers again after" in stderr


def test_a_job_whose_environment_cannot_be_made_is_told_in_four_lines(office, first_night):
    broken = "d=$(readlink -f /tmp/ray/session_latest)/runtime_resources/working_dir_files; mv $d $d.old; touch $d"
    mended = "d=$(readlink -f /tmp/ray/session_latest)/runtime_resources/working_dir_files; rm $d; mv $d.old $d"
    office.cluster.head.run("bash", "-c", broken)
    try:
        message = message_of(office.submit("rollback", "--set", "mlflow.registered_model=unmade"))
    finally:
        office.cluster.head.run("bash", "-c", mended)
    assert message["expected"] == "a head that unpacks the folder of the config"
    assert message["where"].startswith("nightjar-rollback-")


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"RAY_AUTH_TOKEN": "0123456789-of-another"}, "a token that the cluster does not take"),
        ({"RAY_AUTH_MODE": "disabled"}, "no token, where the cluster wants one"),
        ({"RAY_ADDRESS": "127.0.0.11:16379"}, "something that is no job server of Ray's"),
        ({"RAY_ADDRESS": "127.0.0.11:9"}, "[Errno 111] Connection refused"),
    ],
    ids=["a wrong token", "no token", "the port of the head", "a port of nobody"],
)
def test_without_the_right_address_and_token_a_command_ends_in_seconds_and_four_lines(office, environment, found):
    began = time.monotonic()
    message = message_of(office.submit(*office.night(FIRST), **environment))
    assert message["found"].startswith(found)
    assert time.monotonic() - began < 20


def test_an_id_that_nobody_has_is_refused_by_logs_and_stop(office):
    for verb in ("logs", "stop"):
        assert message_of(office.nightjar(verb, "nightjar-none-1"))["found"] == "no job nightjar-none-1"


@pytest.mark.timeout(600)
def test_a_job_that_is_lost_with_its_head_is_begun_again_and_outlasts_the_lease_of_the_lost_one(office, machines):
    night = office.submitted(*office.night(LOST, *ENDLESS, "--set", "night.lease_seconds=60"))
    waiting = office.begun("nightjar", *night)
    lost = office.job(LOST)
    office.wait_for("train ...", "logs", lost["id"])
    for machine in (office.cluster.head, *office.cluster.nodes):
        machine.kill()
    box.ray_cluster(machines, [2], AUTHORIZED, has_dashboard=True)
    stdout, stderr = waiting.communicate()
    assert waiting.returncode == 1, stdout + stderr
    assert f"the cluster knows {lost['id']} no more" in stderr
    again = office.begun("nightjar", *night)
    assert office.job(LOST)["id"] == lost["id"], "of a cluster that knows of no first attempt"
    office.wait_for("train ...", "logs", lost["id"])
    assert office.nightjar("stop", lost["id"]).exit_code == 0
    stdout, stderr = again.communicate()
    assert again.returncode == 143, stdout + stderr
    assert "wait for a lease to expire" in stdout
