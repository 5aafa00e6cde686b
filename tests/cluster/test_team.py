"""A team's cluster: nodes that share no disk, rows and work on S3, MLflow over PostgreSQL, and a token to get in."""

import json
from dataclasses import dataclass
from pathlib import Path

import box
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import services
import yaml
from click_logs import SPEC, write_day, write_random_log
from command import Done
from night_folder import GATE, ROWS, STAGE, day
from services import BUCKET, DATABASE_PASSWORD, KEYS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]  # services, Ray and two nights begin in one fixture
TOKEN = "of-the-cluster-0123456789abcdef0123456789abcdef"
CONFIG = {
    "work_uri": f"s3://{BUCKET}/work",
    "data": {"logs_uri": f"s3://{BUCKET}/logs", "features": SPEC, "max_bad_share": 0.01},
    "table": {"dimension": 4},
    "stages": [STAGE, {**STAGE, "name": "deepfm", "model": "deepfm", "init_from": "fm", "mlp": {"hidden": [8]}}],
    "cluster": {"num_workers": 2},
    "night": {"gate": GATE},
}


@dataclass(frozen=True)
class Team:
    """Its services and its Ray; commands are typed on the head, with what its users have in their environment."""

    ray: box.RayCluster
    services: services.Services
    config: Path

    def nightjar(self, verb: str, *arguments: str) -> Done:
        env = {**self.services.env, **self.ray.env, "RAY_ADDRESS": self.ray.address}
        return self.ray.head.run("nightjar", verb, *arguments, env=env)

    def keys(self, prefix: str) -> list[str]:
        """Of the objects in the bucket that begin so."""
        look = f"import fsspec, json; print(json.dumps(fsspec.filesystem('s3').find('{BUCKET}/{prefix}')))"
        done = self.ray.head.run("python", "-c", look, env=dict(self.services.env))
        return list(json.loads(done.stdout))


@pytest.fixture(scope="module")
def team(machines: box.Box) -> Team:
    served = services.start(machines)
    env = {**served.env, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    ray = box.ray_cluster(machines, [2, 1, 2], env)
    config = machines.shared / "nightly.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    write_random_log(machines.shared / "logs", 4, ROWS)
    first = pq.read_table(machines.shared / f"logs/date={day(1)}/part-0.parquet", partitioning=None)
    clicks = pa.array([7, *first["click"].to_pylist()[1:]], pa.int8())  # a row that is no click and not none
    write_day(machines.shared / "logs", day(1), first.set_column(first.column_names.index("click"), "click", clicks))
    team = Team(ray, served, config)
    put = f"import fsspec; fsspec.filesystem('s3').put('{machines.shared}/logs', '{BUCKET}/', recursive=True)"
    done = ray.head.run("python", "-c", put, env=dict(served.env))
    assert done.exit_code == 0, done.stderr
    return team


@pytest.fixture(scope="module")
def nights(team: Team) -> Done:
    return team.nightjar("backfill", "--config", str(team.config), "--from", str(day(2)), "--to", str(day(3)))


def test_two_nights_end_with_a_champion(team: Team, nights: Done) -> None:
    assert nights.exit_code == 0, nights.stderr
    status = team.nightjar("status", "--config", str(team.config))
    assert status.exit_code == 0, status.stderr
    assert "models:/ctr/2 is champion" in status.stdout


def test_the_champion_scores_a_day_and_the_one_before_it_serves_again(team: Team, nights: Done) -> None:
    scored = team.nightjar(
        *("score", "--config", str(team.config), "--model", "models:/ctr@champion"),
        *("--date", str(day(4)), "--out", f"s3://{BUCKET}/scores"),
    )
    assert scored.exit_code == 0, scored.stderr
    assert f"{BUCKET}/scores/date={day(4)}/_SUCCESS" in team.keys("scores")
    back = team.nightjar("rollback", "--config", str(team.config))
    assert back.stdout == "models:/ctr/1 serves again; models:/ctr/2 is the previous champion\n", back.stderr


def test_not_one_file_of_the_work_is_on_a_disk_of_the_machines(team: Team, nights: Done) -> None:
    of_others = {"ray", "ray.log", "torchinductor_root"}
    for machine in (team.ray.head, *team.ray.nodes):
        assert {path.name for path in (machine.disk / "tmp").iterdir()} <= of_others, machine.name
    assert {key.split("/")[2] for key in team.keys("work")} >= {"encoded", "leases", "nights", "profiles", "quarantine"}
    assert any(key.endswith("report.html") for key in team.keys("mlflow"))


def test_no_secret_of_the_team_is_printed_or_kept_in_the_bucket(team: Team, nights: Done) -> None:
    secrets = [TOKEN, DATABASE_PASSWORD, KEYS["AWS_SECRET_ACCESS_KEY"]]
    assert not [secret for secret in secrets if secret in nights.stdout + nights.stderr]
    look = (
        "import fsspec, sys; store = fsspec.filesystem('s3'); names = store.find(sys.argv[1]); print(len(names)); "
        "print([name for name in names for word in sys.argv[2:] if word.encode() in store.cat_file(name)])"
    )
    done = team.ray.head.run("python", "-c", look, BUCKET, *secrets, env=dict(team.services.env))
    assert done.exit_code == 0, done.stderr
    num_objects, found = done.stdout.splitlines()
    assert int(num_objects) > 50
    assert found == "[]"
