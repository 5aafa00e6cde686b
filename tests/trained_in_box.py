"""A training command on a cluster in the box, what it has done so far, and what its model came to."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import box
import whole_ray
import yaml
from click_logs import SPEC, write_random_log
from mlflow import MlflowClient

ROWS, NUM_DAYS, BATCH = 4000, 4, 16
STAGE: dict[str, Any] = {"name": "fm", "model": "fm", "batch_size": BATCH, "epochs": 1}
NET = {**STAGE, "model": "deepfm", "init_from": "fm", "transfer": {"w": True, "w0": True}, "mlp": {"hidden": [8]}}
STAGES = [STAGE, {**NET, "name": "deepfm", "epochs": 2}, {**NET, "name": "last", "epochs": 0.5}]
EVERY_STEPS = 100
GATE = {"golden_rows": 0, "min_rows": 100, "min_positives": 10, "num_replicates": 20}
SECONDS = 200.0  # that anything here may take


@dataclass(frozen=True)
class Command:
    """A verb of nightjar's that is at work on the head, on a work folder of its own."""

    process: subprocess.Popen[str]
    log: Path
    work: Path

    def wait_for(self, happened: Callable[[], Any], what: str = "") -> Any:
        """What `happened` is told to have come to, as soon as that is something."""
        until = time.monotonic() + SECONDS
        while not (found := happened()):
            assert self.process.poll() is None, f"{what}: it has ended\n{self.text}"
            assert time.monotonic() < until, f"{what}\n{self.text}"
            time.sleep(0.02)
        return found

    def ended(self) -> int:
        return self.process.wait(SECONDS)

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def run(self) -> Path:
        return next(iter((self.work / "runs").glob("*")), self.work / "none")

    def saved(self) -> tuple[str, int]:
        """Stage and step of the newest checkpoint that is whole."""
        found = [("", 0)]
        for path in sorted(self.run.glob("checkpoint_*/progress.json")):
            try:
                progress = json.loads(path.read_text())["progress"]
            except (OSError, ValueError):
                continue
            found.append((progress["stage"], progress["step"]))
        return found[-1]

    def is_in(self, stage: str, beyond: int = 0) -> bool:
        name, step = self.saved()
        return name == stage and step > beyond

    def is_told_of(self, stage: str) -> bool:
        """Whether rank 0 has logged a step of it."""
        return f"train {stage} ..." in self.text

    def tensors(self) -> dict[str, bytes]:
        return {
            stage["name"]: b"".join(
                file.read_bytes() for file in sorted((self.run / "stages" / stage["name"]).glob("*.safetensors"))
            )
            for stage in STAGES
        }

    def repeated_steps(self, stage: str) -> list[int]:
        """How far back each new attempt at the stage went, by the steps that rank 0 logged."""
        client = MlflowClient(f"sqlite:///{self.work}/mlflow.db")
        runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
        run_id = next(run.info.run_id for run in runs if run.info.run_name == stage)
        steps = [metric.step for metric in client.get_metric_history(run_id, "work/data_wait")]
        return [before - after for before, after in pairwise(steps) if after <= before]


@dataclass(frozen=True)
class Lab:
    """A head without CPUs, nodes, and a log of some days that all of them see."""

    ray: box.RayCluster

    @classmethod
    def start(cls, machines: box.Box, num_cpus: list[float]) -> "Lab":
        write_random_log(machines.shared / "logs", NUM_DAYS, ROWS)
        quick = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.25"}
        return cls(box.ray_cluster(machines, num_cpus, quick))

    @property
    def nodes(self) -> list[box.Machine]:
        """As they are now: one that was replaced is another machine of that name."""
        return [self.ray.box.machine(node.name) for node in self.ray.nodes]

    def be_whole(self) -> None:
        """Start the nodes that were lost, and wait until Ray takes all of them for alive and nothing is at work."""
        for node in self.nodes:
            if not (node.disk / "tmp/ray.log").exists():
                self.ray.add(node.name, 2)
        addresses = [machine.address for machine in (self.ray.head, *self.nodes)]
        env = {**self.ray.env, "RAY_ADDRESS": self.ray.address}
        done = self.ray.head.run("python", whole_ray.__file__, *addresses, env=env, timeout=SECONDS)
        assert done.exit_code == 0, done.stderr

    @property
    def shared(self) -> Path:
        return self.ray.box.shared

    def train(self, name: str, **changes: Any) -> Command:
        """`changes` are keys of the config's top level."""
        return self.command("train", name, **changes)

    def command(self, verb: str, name: str, *arguments: str, **changes: Any) -> Command:
        config, log, work = self.shared / f"{name}.yaml", self.shared / f"{name}.log", self.shared / name
        settings = {
            "work_uri": str(work),
            "data": {"logs_uri": str(self.shared / "logs"), "features": SPEC, "rows_per_part": ROWS // 4},
            "table": {"dimension": 4},
            "stages": STAGES,
            "checkpoint": {"every_steps": EVERY_STEPS, "max_failures": 3},
            "cluster": {"num_workers": 2},
            "retention": {"runs": None},
            "night": {"gate": GATE},
        }
        config.write_text(yaml.safe_dump({**settings, **changes}))
        env = {**self.ray.env, "RAY_ADDRESS": self.ray.address}
        process = self.ray.head.popen("nightjar", verb, "--config", str(config), *arguments, env=env, log=log)
        return Command(process, log, work)

    def running(self, title: str = "RayTrainWorker") -> list[box.Machine]:
        """The machines on which a process of Ray's has that in its title; the ranks, unless another is meant."""
        return [
            machine
            for machine in self.nodes
            if any(title in _title(path) for path in (machine.disk / "proc").glob("[0-9]*/cmdline"))
        ]

    def idle(self) -> list[box.Machine]:
        """The machines on which no rank is."""
        busy = {machine.name for machine in self.running()}
        return [machine for machine in self.nodes if machine.name not in busy]

    def drain(self, machine: box.Machine) -> None:
        """Tell Ray that the node there will be taken away in a minute."""
        look = (
            "import ray, sys; ray.init(logging_level='ERROR', log_to_driver=False); print(next(node['NodeID'] "
            "for node in ray.nodes() if node['Alive'] and node['NodeManagerAddress'] == sys.argv[1]))"
        )
        env = {**self.ray.env, "RAY_ADDRESS": self.ray.address}
        node_id = self.ray.head.run("python", "-c", look, machine.address, env=env).stdout.strip()
        done = self.ray.head.run(
            *("ray", "drain-node", "--address", self.ray.address, "--node-id", node_id),
            *("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "taken away"),
            *("--deadline-remaining-seconds", "60"),
            env=env,
        )
        assert done.exit_code == 0, done.stderr

    def replace(self, machine: box.Machine, num_cpus: float = 2) -> None:
        """Pull its plug, and start a node on a machine of that name anew."""
        machine.kill()
        self.ray.add(machine.name, num_cpus)


def _title(cmdline: Path) -> str:
    try:
        return cmdline.read_text()
    except OSError:  # of a process that has ended since
        return ""
