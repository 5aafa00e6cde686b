"""A folder in which the command is run on input that it has to refuse."""

from dataclasses import dataclass
from pathlib import Path

from command import nightjar


@dataclass(frozen=True)
class Session:
    """A folder with a good log and config, and the command run on them."""

    folder: Path

    def refused(self, *arguments: str) -> dict[str, str]:
        """Run a command that must be refused; found, expected, where and remedy of the message."""
        done = nightjar(*arguments, cwd=self.folder)
        assert done.exit_code == 2, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert not (self.folder / "work" / "runs").exists(), "nothing was trained"
        message = done.stderr[done.stderr.index("nightjar: refused") :].splitlines()[1:]
        return {line.split()[0]: line.split(maxsplit=1)[1] for line in message if line and line[0] != " "}

    def train_refused(self, *overrides: str) -> dict[str, str]:
        sets = [word for override in overrides for word in ("--set", override)]
        return self.refused("train", "--config", str(self.folder / "train.yaml"), *sets)
