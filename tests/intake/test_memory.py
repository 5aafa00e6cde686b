"""An import holds so much of a file as its chunks, however long that is; of .gz and of one day for all as well."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from log_files import criteo_line

CHUNK_BYTES = 4 * 2**17
IMPORT = """
import sys
from pathlib import Path
sys.path[:0] = {path}
from pipeline.intake import blocks, chunks
blocks.BLOCK_BYTES, chunks.BLOCKS_PER_CHUNK = 2**17, 4
from log_files import imported
from pipeline.intake.formats.criteo import Criteo
imported(Criteo(), Path(sys.argv[1]), rows_per_day=int(sys.argv[2]))
[peak] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


def peak_bytes(file: Path, rows_per_day: int) -> int:
    command = [sys.executable, "-c", IMPORT.format(path=sys.path), str(file), str(rows_per_day)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "num_days"), [("", 4), (".gz", 1)])
def test_ten_times_the_rows_take_a_few_chunks_of_memory_more_at_most(tmp_path, ending, num_days):
    lines = "".join(f"{criteo_line(0, range(i, i + 13), f'{i * 40503 % 2**32:08x}')}\n" for i in range(10_000)).encode()
    peaks = []
    for times in (4, 40):
        content = lines * times
        file = tmp_path / f"{times}/train.txt{ending}"
        file.parent.mkdir()
        file.write_bytes(gzip.compress(content, 1) if ending else content)
        peaks.append(peak_bytes(file, 10_000 * times // num_days))
    assert 36 * len(lines) > 200 * CHUNK_BYTES, "so many more are read"
    assert peaks[1] - peaks[0] < 20 * CHUNK_BYTES
