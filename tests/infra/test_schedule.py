"""The crontab's line and systemd's units."""

import configparser
import re
import shutil
import subprocess

import pytest
from manifests import BIN, INFRA

SCHEDULE = INFRA / "schedule"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units_and_finds_a_typo_out(tmp_path):
    """With the command where it lies here: systemd looks whether it can be run."""
    for file in ("nightjar.service", "nightjar.timer"):
        text = (SCHEDULE / file).read_text().replace("/opt/nightjar/bin", str(BIN))
        (tmp_path / file).write_text(text)
    command = ["systemd-analyze", "verify", tmp_path / "nightjar.service", tmp_path / "nightjar.timer"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    service = tmp_path / "nightjar.service"
    service.write_text(service.read_text().replace("SuccessExitStatus", "SuccesExitStatus"))
    done = subprocess.run(command, capture_output=True, text=True)
    assert "SuccesExitStatus" in done.stderr


def test_a_night_that_another_one_does_is_no_failure_and_one_that_was_missed_is_caught_up_on():
    units = configparser.ConfigParser()
    units.optionxform = str
    units.read([SCHEDULE / "nightjar.service", SCHEDULE / "nightjar.timer"])
    assert units["Service"]["Type"] == "oneshot"
    assert units["Service"]["SuccessExitStatus"] == "3"
    assert units["Timer"]["Persistent"] == "yes"


def test_the_crontabs_line_is_five_times_a_user_and_a_command_without_percent_signs():
    (line,) = [line for line in (SCHEDULE / "nightjar.cron").read_text().splitlines() if re.match(r"[\d*]", line)]
    *times, user, command = line.split(maxsplit=6)
    assert times == ["0", "3", "*", "*", "*"]
    assert user == "nightjar"
    assert "%" not in command  # which ends a command of cron's
