"""Machines on this machine: each with a /tmp, a host name and processes of its own, on one private network.

They are namespaces of Linux's (network, processes, mounts, host names). What works among them because two of them see
one disk does so on purpose: everything outside /tmp is the same for all, as in one image; /tmp is each machine's own.
Nothing listens outside the private network, and ending the box ends all that runs in it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from command import Done

BIN = Path(sys.executable).parent
SECONDS_OF_START = 90.0
NUM_PORTS = 150  # of a node of Ray's, its workers' included
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
# The first process of a namespace takes in the orphans of all others, and must go on.
WAITS = 'echo up; while :; do sleep 3600 & wait "$!"; done'
NETWORK = f"ip link set lo up && mount --make-rprivate / && {WAITS}"
# A checkout below /tmp, as this one may be, is code and not what machines share by mistake: all of them see it.
CODE = sorted({str(path) for path in (Path(__file__).parents[1], Path(sys.prefix)) if path.is_relative_to("/tmp")})
MACHINE = (
    "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt"
    ' && for code in "$@"; do mkdir -p "/mnt${code#/tmp}" && mount --bind "$code" "/mnt${code#/tmp}"; done'
    f' && mount --move /mnt /tmp && mount -t tmpfs tmpfs /dev/shm && hostname "$0" && {WAITS}'
)


def why_none() -> str:
    """Why no box can be made here, for a test that is skipped; empty where one can."""
    if os.geteuid() != 0:
        return "namespaces want root"
    tried = subprocess.run(["unshare", "--net", "--pid", "--mount", "--fork", "true"], capture_output=True, text=True)
    return tried.stderr.strip()


@dataclass(frozen=True)
class Machine:
    """One machine: what runs there, at which address, and its disk as it is seen from outside."""

    name: str
    number: int
    first: int
    """The process, as it is called outside, whose end is the machine's."""
    _processes: list[subprocess.Popen[str]] = field(default_factory=list, compare=False, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.{10 + self.number}"

    @property
    def disk(self) -> Path:
        """Its root: `disk / "tmp"` is the folder that no other machine sees."""
        return Path(f"/proc/{self.first}/root")

    def popen(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: str = "/tmp", log: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start it there, in an environment of its own; stdout and stderr go to `log`, else to pipes."""
        clean = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/root", "LANG": "C.UTF-8", **QUIET, **(env or {})}
        with contextlib.ExitStack() as opened:
            out = opened.enter_context(log.open("a")) if log else subprocess.PIPE
            process = subprocess.Popen(
                [*_into(self.first), "--uts", "env", "-C", cwd, *command],
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                text=True,
            )
        self._processes.append(process)
        return process

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: str = "/tmp", timeout: float = 280.0
    ) -> Done:
        """What a shell on that machine would have seen of the command, which is ended there when its time is up."""
        process = self.popen("timeout", "--signal=KILL", f"{timeout:g}", *command, env=env, cwd=cwd)
        stdout, stderr = process.communicate()
        killed = f"{command} on {self.name} is killed, or not done in {timeout:g} s:\n{stdout}\n{stderr}"
        assert process.returncode != -signal.SIGKILL, killed
        return Done(process.returncode, stdout, stderr)

    def serve(
        self, *command: str, port: int, log: Path, env: Mapping[str, str] | None = None, cwd: str = "/tmp"
    ) -> subprocess.Popen[str]:
        """Start a server there and wait until it answers at that port of the machine's own address."""
        process = self.popen(*command, env=env, cwd=cwd, log=log)
        probe = f"until (exec 3<>/dev/tcp/{self.address}/{port}) 2>/dev/null; do sleep 0.1; done"
        asked = self.popen("timeout", f"{SECONDS_OF_START:g}", "bash", "-c", probe)
        while asked.poll() is None and process.poll() is None:
            time.sleep(0.05)
        if asked.returncode != 0:
            asked.kill()
            raise AssertionError(f"{command} on {self.name} does not answer:\n{log.read_text()}")
        return process

    def kill(self) -> None:
        """As if its plug were pulled: everything that runs there is gone at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)
        while self._processes:
            _ended(self._processes.pop())


class Box:
    """The private network and the machines on it; `shared` is a folder that all of them see, empty at the start."""

    def __init__(self, first: int, shared: Path) -> None:
        self.shared = shared
        self._first = first
        self._machines: dict[str, tuple[Machine, subprocess.Popen[str]]] = {}
        self._ports = iter(range(20000, 32768 - NUM_PORTS, NUM_PORTS))  # below those that Linux gives out by itself

    def machine(self, name: str) -> Machine:
        """The machine of that name, started where there is none or where it was killed: its /tmp is then empty."""
        known = self._machines.get(name)
        if known and known[1].poll() is None:
            return known[0]
        if known:
            known[0].kill()
        number = known[0].number if known else len(self._machines) + 1
        nested = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        process = _started([*_into(self._first), *nested, "bash", "-c", MACHINE, name, *CODE])
        machine = Machine(name, number, _child(_child(process.pid)), [process])
        self._machines[name] = machine, process
        return machine

    def close(self) -> None:
        for machine, _ in self._machines.values():
            machine.kill()

    def next_ports(self) -> int:
        """The first of NUM_PORTS ports that nothing in the box has listened on."""
        return next(self._ports)

    @cached_property
    def driver(self) -> Machine:
        """The machine that commands are typed on, which is no node of Ray's."""
        return self.machine("driver")


@contextlib.contextmanager
def opened(shared: Path) -> Iterator[Box]:
    """A box, for as long as the block runs. `shared` is a folder outside /tmp."""
    namespaces = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
    process = _started([*namespaces, "bash", "-c", NETWORK])
    made = Box(_child(process.pid), shared)
    try:
        yield made
    finally:
        made.close()
        _ended(process)


def _ended(process: subprocess.Popen[str]) -> None:
    """Its end, and that of the pipes to it."""
    with process:
        process.kill()


def _started(command: Sequence[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    if process.stdout.readline() != "up\n":
        raise AssertionError(f"{command}: {process.communicate()}")
    return process


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _into(first: int) -> list[str]:
    return ["nsenter", "--target", str(first), "--net", "--pid", "--mount"]


@dataclass(frozen=True)
class RayCluster:
    """Ray on machines of a box: a head, which may have CPUs, and nodes."""

    box: Box
    head: Machine
    nodes: tuple[Machine, ...]
    env: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"{self.head.address}:16379"

    @property
    def dashboard(self) -> str:
        """Where its job server answers, if it was started with one."""
        return f"http://{self.head.address}:18265"

    def add(self, name: str, num_cpus: float, *options: str, env: Mapping[str, str] | None = None) -> Machine:
        """Start a node on the machine of that name, with an environment of its own beside the cluster's."""
        machine = self.box.machine(name)
        _start_ray(self.box, machine, ["--address", self.address, *options], num_cpus, {**self.env, **(env or {})})
        return machine


def ray_cluster(
    box: Box,
    num_cpus: Sequence[float],
    env: Mapping[str, str] | None = None,
    has_dashboard: bool = False,
    head_cpus: float = 0,
) -> RayCluster:
    """Ray on `head` and on `node-1`, `node-2`, ... with so many CPUs each, all started and told of each other.

    The environment is the nodes' own, and so that of what Ray runs there. Without RAY_AUTH_MODE there is no token.
    """
    env = {"RAY_AUTH_MODE": "disabled", **(env or {})}
    head = box.machine("head")
    cluster = RayCluster(box, head, (), env)
    dashboard = ["--include-dashboard=true", f"--dashboard-host={head.address}", "--dashboard-port=18265"]
    options = ["--head", "--port=16379", *(dashboard if has_dashboard else ["--include-dashboard=false"])]
    _start_ray(box, head, options, head_cpus, env)
    nodes = tuple(cluster.add(f"node-{index}", cpus) for index, cpus in enumerate(num_cpus, 1))
    return RayCluster(box, head, nodes, env)


def _start_ray(box: Box, machine: Machine, options: Sequence[str], num_cpus: float, env: Mapping[str, str]) -> None:
    """`ray start` there, its output in the machine's /tmp/ray.log; returns when the node says that it runs.

    Its ports are new ones. Ray takes a lost node for alive for some seconds: one that is started at its address and
    ports would answer for it meanwhile, and hold for ever what was meant to be held by the other.
    """
    base = box.next_ports()
    names = (
        *("node-manager-port", "object-manager-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port"),
        *("metrics-export-port", "runtime-env-agent-port"),
    )
    ports = [f"--{name}={base + place}" for place, name in enumerate(names)]
    workers = [f"--min-worker-port={base + len(names)}", f"--max-worker-port={base + NUM_PORTS - 1}"]
    log = machine.disk / "tmp" / "ray.log"
    process = machine.popen(
        *("ray", "start", "--block", f"--node-ip-address={machine.address}", f"--num-cpus={num_cpus:g}"),
        "--object-store-memory=200000000",
        *ports,
        *workers,
        *options,
        env=env,
        log=log,
    )
    until = time.monotonic() + SECONDS_OF_START
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)
