"""The page of formats, jobs/formats.md, is run as it stands there."""

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
from command import nightjar
from log_files import criteo_line, write

PAGE = Path(__file__).parents[2] / "jobs" / "formats.md"
FILE = re.compile(r"^```(?:csv|text)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ nightjar (.+)$", re.MULTILINE)
ROWS = {
    "csv": {"2026-11-18": [1], "2026-11-19": [2, 3], "2026-11-20": [4]},
    "criteo": {"2014-05-14": [1, 2], "2014-05-15": [3]},
    "terabyte": {"2026-11-01": [1, 2, 3], "2026-11-02": [10**12 + line for line in (1, 2, 3)]},
    "avazu": {"2014-10-21": ["7000000000000000001"], "2014-10-22": ["17000000000000000002"]},
    "libsvm": {"2026-11-01": [1, 2]},
    "libffm": {"2026-11-01": [1, 2]},
}
"""The keys of each log's days, worked out by hand."""


def test_each_example_of_a_format_is_imported_as_the_page_has_it(tmp_path):
    text = PAGE.read_text()
    for name, content in FILE.findall(text):
        (tmp_path / name).write_text(content)
    for number in (0, 1):
        write(tmp_path / f"day_{number}.gz", [criteo_line()] * 3)
    for line in COMMAND.findall(text):
        done = nightjar(*shlex.split(line), cwd=tmp_path)
        assert done.exit_code == 0, f"{line}\n{done.stderr}"
    for name, of_days in ROWS.items():
        folders = {path.name.removeprefix("date="): path for path in (tmp_path / name / "logs").glob("date=*")}
        keys = {
            day: [key for part in sorted(path.glob("*.parquet")) for key in pq.ParquetFile(part).read()[0].to_pylist()]
            for day, path in folders.items()
        }
        assert keys == of_days
    assert pq.ParquetFile(next((tmp_path / "libffm").rglob("*.parquet"))).read().to_pylist() == [
        {"row_id": 1, "label": 1, "field_0": 3, "field_1": [17, 18], "field_2": 0.37},
        {"row_id": 2, "label": 0, "field_0": 4, "field_1": [], "field_2": 1.5},
    ]
