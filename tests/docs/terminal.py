"""A terminal on the desk: each line of a page is run the way that the page means it.

Commands of the product run in this process, through the command line's own entry. A service runs until it can be
stopped, and is stopped as a person stops it. Other programs that are there run in a shell; those of other hosts are
stand-ins that note what they are asked (`docker`, `helm`, `mount`), or the program's own parser reads the line.
"""

import argparse
import io
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from bay_observation.cli import ENTRIES, program_group
from tests.deploy.conftest import Host

PROJECT = Path(__file__).parents[2]
_PATIENCE_S = 60.0

# Lines that are read by the parser of their program, or by a stand-in of it, and the reason.
CHECKED = {
    r"make .+": "CI runs lint, test and the image; make itself reads the line here",
    r"(\./start-\S+\.sh|deploy/compose\.sh) .*|(docker|mount|\$EDITOR|helm) .*": "containers: tests/compose/run.py",
    r"airflow connections add .*": "Airflow's own command and database; Airflow's parser reads the line here",
    r"bay-observation demo.*": "minutes of a real Airflow: tests/test_pipeline.py goes the same way",
    r"\.venv/bin/python -m pytest.*": "this is what runs",
}
SERVICES = (
    r"bay-observation (models|simulate) serve .*",
    r"bay-observation metrics export --token-file .*",
    r"bay-observation store replicate",
    r"bay-observation legacy bridge",
)
_SHELL = r"(read|openssl|curl) .*"


def why_checked(line: str) -> str:
    """Why a line is read by a parser or a stand-in alone; empty where it is run."""
    typed = without_comment(line)
    return next((why for pattern, why in CHECKED.items() if re.fullmatch(pattern, typed)), "")


def without_comment(line: str) -> str:
    """The line as it is typed."""
    return re.split(r" +# ", line, maxsplit=1)[0].strip()


@dataclass
class Terminal:
    """Of a person who has opened a page.

    Attributes:
        folder: where the person stands.
        replaced: what stands in a page, and what it is on this desk.
        person: what somebody does while a command waits for it, by the command's pattern.
        host: another host: the project's scripts, and stand-ins of the programs that they call.
    """

    folder: Path
    replaced: dict[str, str]
    person: dict[str, Callable[[io.StringIO], None]]
    host: Host

    def type(self, line: str) -> tuple[int, str]:
        """The exit status and the output of a line."""
        typed = without_comment(line)
        for text, here in self.replaced.items():
            typed = typed.replace(text, here)
        if why_checked(line):
            return self._check(typed)
        if re.fullmatch(_SHELL, typed):
            return self._shell(typed, self.folder)
        return self._run(typed)

    def _run(self, line: str) -> tuple[int, str]:
        words = shlex.split(line, comments=True)
        words = [found for word in words for found in self._paths(word)]
        target = None
        if ">" in words:
            target = self.folder / words[words.index(">") + 1]
            words = words[: words.index(">")]
        if words[0] == "export":
            os.environ.update(word.split("=", 1) for word in words[1:])
            return 0, ""
        if words[0] == "cat":
            return 0, (self.folder / words[1]).read_text()
        with pytest.MonkeyPatch.context() as environment:
            while "=" in words[0]:
                environment.setenv(*words.pop(0).split("=", 1))
            assert words[0] == "bay-observation", f"{line}: neither run here nor in CHECKED"
            status, said = self._product(line, words[1:])
        if target is not None:
            target.write_text(said)
        return status, said

    def _paths(self, word: str) -> list[str]:
        return sorted(str(path) for path in self.folder.glob(word)) if re.fullmatch(r"[\w/]*\*[.\w]*", word) else [word]

    def _product(self, line: str, words: list[str]) -> tuple[int, str]:
        said = io.StringIO()
        person = next((act for pattern, act in self.person.items() if re.fullmatch(pattern, line)), None)
        service = any(re.fullmatch(f"(\\w+=\\S+ )?{pattern}", line) for pattern in SERVICES)
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(said))
            stack.enter_context(redirect_stderr(said))
            if service:
                stack.enter_context(_Stopped(said))
            if person is not None:
                thread = threading.Thread(target=person, args=(said,))
                stack.callback(thread.join)
                thread.start()
            try:
                status = program_group().main(words, prog_name="bay-observation", standalone_mode=False)
            except SystemExit as error:
                status = error.code
            except (KeyboardInterrupt, click.Abort):
                status = 0 if service else 130
        return int(status or 0), said.getvalue()

    def _shell(self, line: str, folder: Path, environment: dict[str, str] | None = None) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line}"],
            cwd=folder,
            env=environment,
            input="not asked for\n",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _check(self, line: str) -> tuple[int, str]:
        if line.startswith("make "):
            return self._shell(f"make --dry-run --no-print-directory {line.removeprefix('make ')}", PROJECT)
        if line.startswith(".venv"):
            python, *words = shlex.split(line)
            return int(python != ".venv/bin/python" or not (PROJECT / words[2]).is_dir()), line
        words = shlex.split(line)
        if words[0] == "airflow":
            from airflow.cli.cli_config import CONNECTIONS_COMMANDS

            [command] = [one for one in CONNECTIONS_COMMANDS if words[1:3] == ["connections", one.name]]
            parser = argparse.ArgumentParser()
            for argument in command.args:  # this command alone: Airflow's whole parser takes half a minute
                argument.add_to_parser(parser)
            return int(parser.parse_args(words[3:]) is None), line
        if words[0] == "bay-observation":
            entry = max((e for e in ENTRIES if tuple(words[1:])[: len(e.path)] == e.path), key=lambda e: len(e.path))
            return int(entry.parser().parse_args(words[1 + len(entry.path) :]) is None), line
        environment = {
            "PATH": f"{self.host.programs}:{os.environ['PATH']}",
            "HOME": str(self.host.folder),
            "DOCKER_CALLS": str(self.host.folder / "calls"),
            "EDITOR": "editor",
        }
        return self._shell(line, self.host.folder, environment | self.host.on_local_disk)


class _Stopped:
    """Sends this process SIGTERM, as `kill` does, once the service in it serves or has said what to do then."""

    def __init__(self, said: io.StringIO) -> None:
        self._said = said

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._interrupt)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._stop)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        signal.signal(signal.SIGTERM, self._before)

    def _interrupt(self, *_: object) -> None:
        raise KeyboardInterrupt

    def _stop(self) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not self._over.wait(0.02) and time.monotonic() < end:
            if signal.getsignal(signal.SIGTERM) != self._interrupt or " at http://" in self._said.getvalue():
                break
        while not self._over.wait(0.3) and time.monotonic() < end:
            if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:  # which would end the tests
                os.kill(os.getpid(), signal.SIGTERM)
