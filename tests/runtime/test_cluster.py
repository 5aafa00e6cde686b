import pytest
from processes import free_port

from pipeline.runtime import cluster
from schemas.errors import Refusal


def test_a_cluster_that_does_not_answer_is_refused_within_seconds():
    assert cluster.ANSWER_SECONDS <= 5, "of a host that is silent, the longest"
    for address, found in ((f"127.0.0.1:{free_port()}", "Connection refused"), ("nowhere.invalid:6379", "not known")):
        with pytest.raises(Refusal, match=found) as refused:
            cluster.reach(address)
        assert refused.value.where == f"cluster.address, or RAY_ADDRESS: {address}"


@pytest.mark.parametrize("address", ["local", "auto"])
def test_what_ray_finds_by_itself_is_left_to_it(address):
    cluster.reach(address)
