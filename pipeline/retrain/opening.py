"""How a retrain opens: its log is looked at, and Ray's start begun, before what takes a second to import."""

from pipeline.retrain.dataset import find_inputs
from pipeline.retrain.summary import Summary
from pipeline.runtime import cluster
from pipeline.runtime.progress import Clock, Show
from schemas.config import TrainConfig
from schemas.register import Register


def retrain(config: TrainConfig, show: Show, register: Register = Register.BEST) -> Summary:
    """Train every stage of the plan, register the best one and, if the gate says so, make it champion.

    All others may be registered too, or none at all, as for trials of settings, of which the registry need not know.

    Raises Refusal for what the user must change, before any training starts or a run is recorded. The same config, log
    and code again return the finished retrain, or take up an unfinished one.
    """
    clock = Clock.of(show)
    with cluster.of_command(config.cluster) as nodes:
        inputs = find_inputs(config, clock)
        nodes.begin()
        with clock.unshown("import torch"):
            from pipeline.retrain.run import carry_out
        return carry_out(config, inputs, register, nodes, clock)
