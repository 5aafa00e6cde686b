import torch

from pipeline.bench import machine
from pipeline.bench.machine import Limits


def test_limits_are_medians_of_rounds_and_totals_of_ranks():
    rounds = [Limits(1, 10, 100, 1000, 5), Limits(3, 30, 300, 3000, 6), Limits(2, 20, 200, 2000, 7)]
    assert Limits.median(rounds) == Limits(2, 20, 200, 2000, 6)
    assert Limits.total(rounds) == Limits(6, 60, 600, 6000, 18)


def test_a_part_is_decoded_whole(tmp_path):
    path = machine.write_part(tmp_path, num_fields=2, num_ids=10)
    assert machine.decode(path) == machine.PART.num_rows


def test_memory_that_was_used_is_in_the_peak():
    before = machine.peak_memory_bytes()
    used = torch.ones(2**24)
    assert machine.peak_memory_bytes() >= used.nbytes
    assert machine.peak_memory_bytes() >= before


def test_threads_and_precision_are_as_before(tmp_path):
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with machine.threads(threads + 1):
        assert torch.get_num_threads() == threads + 1
    machine.measure(machine.write_part(tmp_path, 2, 10), seconds=0.0)
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == precision
