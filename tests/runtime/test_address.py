import subprocess

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


@pytest.mark.parametrize("where", [".:6379", "a..b:6379", "127.0.0.1:99999"])
def test_a_host_or_a_port_that_there_cannot_be_is_refused(where):
    with pytest.raises(Refusal, match="found"):
        address.require(where)


def test_a_cluster_of_the_command_s_own_is_asked_for_nothing():
    address.require(address.LOCAL)


@pytest.mark.slow
def test_a_machine_without_a_ray_node_has_none_to_be_found(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")  # which Ray prefers to `auto`
    with pytest.raises(Refusal, match="Invalid address format: nonsense"):
        address.require("auto")


@pytest.mark.parametrize(
    ("exit_code", "stdout", "stderr", "found"),
    [
        (
            0,
            '{"trouble": "versions", "ray": "2.59.0", "python": "3.10.9"}',
            "",
            "Ray 2.59.0, Python 3.10.9 at the head",
        ),
        (0, '{"trouble": "none_found"}', "", "no Ray node on this machine"),
        (0, '{"trouble": "no_node", "words": ""}', "", "a cluster of which this machine is no node"),
        (0, '{"trouble": "silent", "words": ""}', "", "something that is no Ray head"),
        (
            -6,
            "",
            "C: couldn't find an authentication token\n*** StackTrace",
            "a cluster that asks for a token, and none here",
        ),
        (1, "", "Traceback\nImportError: libray", "Ray fails as it asks: ImportError: libray"),
    ],
    ids=["versions", "none", "no node", "silent", "token", "broken"],
)
def test_whatever_ray_says_of_an_address_becomes_words(exit_code, stdout, stderr, found):
    trouble = address.trouble(subprocess.CompletedProcess([], exit_code, stdout, stderr))
    refusal = address.refusal("head:6379", *trouble)
    assert refusal.found.startswith(found)
    assert len(str(refusal).splitlines()) == 4


def test_nothing_is_said_of_an_address_at_which_a_driver_could_begin():
    assert address.trouble(subprocess.CompletedProcess([], 0, '{"trouble": ""}', "")) == ()
