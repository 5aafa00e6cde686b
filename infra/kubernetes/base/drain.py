"""Tell Ray that this node will go, and stay until it has: what a worker's pod runs before it is ended.

Its ranks then learn of it while they still can act, instead of by the signal that ends them. Where the head goes too,
there is nobody to tell and nothing to wait for.
"""

import os
import socket
import subprocess
import sys
import time

ANSWER_SECONDS = 5
IN_CHILD = "--in-time"
REASON = "DRAIN_NODE_REASON_PREEMPTION"


def main(seconds: int) -> int:
    """Have a process tell, for so many seconds at most: of a head that is just going Ray asks for longer than that."""
    command = [sys.executable, __file__, str(seconds), IN_CHILD]
    try:
        done = subprocess.run(command, stderr=subprocess.PIPE, timeout=seconds)
    except subprocess.TimeoutExpired:
        return 0
    sys.stderr.buffer.write(done.stderr)
    return done.returncode


def tell(seconds: int) -> None:
    """Returns when the node has gone, or nobody is there to tell."""
    until, address = time.monotonic() + seconds, os.environ["RAY_ADDRESS"]
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()  # Ray itself would ask for a minute
    except OSError:
        return
    own = node_id()
    options = ("--node-id", own, "--reason", REASON, "--reason-message", "its pod is ended")
    told = ray_command("drain-node", *options, "--deadline-remaining-seconds", str(seconds), "--address", address)
    while told and time.monotonic() < until and is_alive(own):
        time.sleep(1)


def ray_command(*arguments: str) -> bool:
    return subprocess.run(["ray", *arguments], stdout=subprocess.DEVNULL).returncode == 0


def node_id() -> str:
    """Of the node that this process connects to by itself: that of its own pod."""
    import ray

    ray.init(logging_level="ERROR", log_to_driver=False)
    return str(ray.get_runtime_context().get_node_id())


def is_alive(node: str) -> bool:
    """As the head has it; false where it says nothing."""
    import ray

    try:
        return any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())
    except Exception:  # of whatever kind: this process is only to end in time
        return False


if __name__ == "__main__":
    if sys.argv[2:] == [IN_CHILD]:
        tell(int(sys.argv[1]))
    else:
        sys.exit(main(int(sys.argv[1])))
