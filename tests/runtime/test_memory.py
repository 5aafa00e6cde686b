from pathlib import Path

from pipeline.runtime import memory


def test_the_memory_of_a_machine_is_no_more_than_its_container_may_use(tmp_path: Path, monkeypatch):
    unlimited, limited = tmp_path / "unlimited", tmp_path / "limited"
    unlimited.write_text("max\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (str(unlimited), str(tmp_path / "none")))
    physical = memory.total_bytes()
    assert physical > 2**28
    limited.write_text("1048576\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (str(unlimited), str(limited)))
    assert memory.total_bytes() == 2**20
