import pytest
from processes import free_port

from pipeline.runtime import address
from schemas.errors import Refusal


def test_a_cluster_that_does_not_answer_is_refused_within_seconds():
    assert address.ANSWER_SECONDS + address.ASK_SECONDS <= 15, "of a host that is silent, the longest"
    for where, found in ((f"127.0.0.1:{free_port()}", "Connection refused"), ("nowhere.invalid:6379", "not known")):
        with pytest.raises(Refusal, match=found) as refused:
            address.require(where)
        assert refused.value.where == f"cluster.address, or RAY_ADDRESS: {where}"


@pytest.mark.parametrize("where", ["ray://head:10001", "http://head:8265", "https://head"])
def test_the_address_of_another_server_of_ray_is_refused_with_what_it_is_for(where):
    with pytest.raises(Refusal, match="server") as refused:
        address.require(where)
    assert "nightjar submit" in refused.value.remedy


def test_a_cluster_of_the_command_s_own_is_asked_for_nothing():
    address.require(address.LOCAL)


@pytest.mark.slow
def test_a_machine_without_a_ray_node_has_none_to_be_found(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")  # which Ray prefers to `auto`
    with pytest.raises(Refusal, match="Invalid address format: nonsense"):
        address.require("auto")
