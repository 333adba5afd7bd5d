"""`bay-observation`: everything that can be done, by job.

Each command is a module of another package that `python -m` runs as well. It is named here as
text and imported when it is asked for: this package knows no other, and `--help` stays fast.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from bay_observation import __version__
from bay_observation.bay_files import bay_names
from bay_observation.commands import WRONG_USE, called_as, run_command
from bay_observation.working import working

NAME = "bay-observation"
_AIRFLOW = "airflow"
# Those that compute for seconds before they say anything.
_COMPUTING = {
    "bay place-cameras", "bay plan", "bay check", "camera check-poses", "camera keep-witnesses", "camera refine-poses",
    "history rebuild", "models check", "models drift", "models pick", "models score", "models twins",
    "simulate render", "store clean", "store convert",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One command.

    Attributes:
        path: the words that a person types after `bay-observation`.
        module: whose `__main__` it is.
        words: of that module's own command line, before the arguments.
        help: one line.
        page: of `docs/` that goes through it; empty where there is none.
    """

    path: tuple[str, ...]
    module: str
    words: tuple[str, ...]
    help: str
    page: str = ""

    @property
    def alias(self) -> str:
        """The same command with `python -m`."""
        return " ".join(("python -m", self.module, *self.words))

    @property
    def usage_name(self) -> str:
        """What stands before the module's own words in its usage."""
        own = self.words if self.words and self.path[-len(self.words) :] == self.words else ()
        return " ".join((NAME, *self.path[: len(self.path) - len(own)]))

    @property
    def computes(self) -> bool:
        """Whether it may say nothing for seconds, so that a terminal is shown that it works."""
        return " ".join(self.path) in _COMPUTING

    @property
    def has_parser(self) -> bool:
        """Whether its arguments are this project's own."""
        return self.module != _AIRFLOW

    def parser(self) -> argparse.ArgumentParser:
        """The arguments of exactly this command."""
        with called_as(self.usage_name):
            parser: argparse.ArgumentParser = import_module(f"{self.module}.__main__").make_parser()
        for word in self.words:
            choices = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices
            parser = choices[word]
        return parser

    def run(self, arguments: Sequence[str]) -> int:
        """Run it; its exit status."""
        if self.module == _AIRFLOW:
            return _airflow(arguments)
        main = import_module(f"{self.module}.__main__").main
        with called_as(self.usage_name), working(" ".join(self.path)) if self.computes else nullcontext():
            return int(main([*self.words, *arguments]))


JOBS: dict[str, str] = {
    "bay": "what a bay is, before and after its cameras hang",
    "camera": "the cameras of a bay, and where they look",
    "calibrate": "a camera's pose and lens, from points",
    "models": "the models that look at the frames",
    "store": "artifacts on the shared storage",
    "history": "where blocks are and were, and what happened",
    "triggerers": "who runs the deferred tasks",
    "metrics": "what a monitoring system asks",
    "alerts": "what people are notified of, and what they said to it",
    "simulate": "a yard with known truth, and its cameras",
    "demo": "the product at work",
    "backtest": "a stored day again, with other parameters",
    "legacy": "from the old system to this one",
    "airflow": "Airflow's own commands",
    "lab": "measure, and find what breaks",
}


def _entries() -> Iterator[Entry]:
    def entry(path: str, module: str, words: str, text: str, page: str = "") -> Entry:
        return Entry(tuple(path.split()), module, tuple(words.split()), text, page)

    yield entry("bay list", "bays", "list", "a table of all bays", "add_a_bay.md")
    yield entry("bay validate", "bays", "validate", "check every bay's file, or those named", "add_a_bay.md")
    yield entry("bay new", "bays", "new", "write a new bay's file, from another's and a survey", "add_a_bay.md")
    yield entry("bay check", "bays", "check", "what cannot be right, or is not meant", "add_a_bay.md")
    yield entry("bay plan", "bays", "plan", "draw a bay, and which floor is seen by how many", "add_a_bay.md")
    yield entry("bay place-cameras", "bays", "place-cameras", "where cameras would see most", "add_a_bay.md")
    yield entry("bay env", "bays", "env", "write the env files that a bay's hosts are started with", "add_a_bay.md")
    yield entry("camera probe", "capture_async", "probe", "ask every camera of a bay now", "at_the_camera_cabinet.md")
    yield entry("camera health", "capture_async", "health", "how they did in the last day", "at_the_camera_cabinet.md")
    yield entry(
        "camera check-poses", "fusion", "check-poses", "which camera is out of its pose", "calibrate_a_camera.md"
    )
    yield entry(
        "camera keep-witnesses", "fusion", "keep-witnesses", "keep how floor marks look now", "calibrate_a_camera.md"
    )
    yield entry(
        "camera overlay", "capture_async", "overlay", "draw the bay over a camera's frame", "calibrate_a_camera.md"
    )
    yield entry(
        "camera refine-poses",
        "fusion",
        "refine-poses",
        "all poses by the blocks that stand there",
        "calibrate_a_camera.md",
    )
    yield entry("calibrate", "fusion", "calibrate", "pose and lens from points", "calibrate_a_camera.md")
    yield entry("models serve", "inference", "serve", "keep a bay's models warm", "inference_server.md")
    yield entry("models health", "inference", "health", "the state of a bay's warm server", "inference_server.md")
    yield entry("models check", "inference", "check", "load them, and say which classes they know", "models.md")
    yield entry(
        "models predict", "inference", "predict", "what they see in pictures or stored batches", "improve_the_models.md"
    )
    yield entry(
        "models export", "inference", "export", "frames and labels, for a labelling tool", "improve_the_models.md"
    )
    yield entry(
        "models import", "inference", "import", "labels of COCO, YOLO or CVAT, checked", "improve_the_models.md"
    )
    yield entry("models drift", "inference", "drift", "whether a camera's frames changed", "improve_the_models.md")
    yield entry(
        "models pick", "lab.training", "pick", "which stored frames are worth labelling", "improve_the_models.md"
    )
    yield entry(
        "models train", "lab.training", "train", "train on own labels, simulated yards or both", "improve_the_models.md"
    )
    yield entry(
        "models score",
        "lab.training",
        "score",
        "how right they are on own labels, or simulated",
        "improve_the_models.md",
    )
    yield entry("models twins", "lab.training", "twins", "how well looks separate blocks of one size", "models.md")
    yield entry("store status", "artifacts", "status", "whether the store answers, and what waits", "storage.md")
    yield entry("store init", "artifacts", "init", "mark the root of a store", "storage.md")
    yield entry("store replicate", "artifacts", "replicate", "publish what waits in this host's spool", "storage.md")
    yield entry("store list", "artifacts", "list", "the newest batches of a bay, and their artifacts", "storage.md")
    yield entry("store get", "artifacts", "get", "read an artifact: as JSON, or its frames", "storage.md")
    yield entry("store convert", "artifacts", "convert", "a store of format 1 as one of format 2", "storage.md")
    yield entry("store clean", "housekeeping", "", "delete what is kept no longer", "housekeeping.md")
    for word, text in (
        ("show", "what stands in a bay, or where a block is and was"),
        ("events", "what happened"),
        ("dwell", "how long blocks stood in each area at each stage"),
        ("use", "how much of each area's floor was used, day by day"),
        ("diff", "which blocks differ between two moments"),
        ("gaps", "which slots are missing, and why"),
        ("cameras", "which cameras went down and came back"),
        ("names", "which block has which number of the yard's own, and how certainly"),
        ("name", "give a block the yard's own number, or take it away"),
        ("export", "everything, a JSON document a line"),
        ("rebuild", "bring history and tracking artifacts in line again"),
        ("withdraw", "take a slot out of tracks and history, or back in"),
        ("migrate", "bring the database's schema up to date"),
        ("prune", "delete what is older than some days"),
    ):
        yield entry(f"history {word}", "tracking", word, text, "history.md")
    yield entry(
        "triggerers status", "triggers", "status", "per queue who lives, and what no process holds", "triggerers.md"
    )
    yield entry("metrics export", "dashboard", "export", "serve the metrics to Prometheus", "monitoring.md")
    for word, text in (
        ("serve", "take alerts from Alertmanager, and send them and events by the routes"),
        ("list", "what lasts, what was of late, and what is muted"),
        ("acknowledge", "take an alert over: it is not escalated any more"),
        ("mute", "send nothing of a bay or a kind for a while"),
        ("unmute", "end a mute"),
        ("check", "check the file of the routes"),
        ("try", "send a message of no alert through a channel"),
    ):
        yield entry(f"alerts {word}", "dashboard.alerting", word, text, "alerting.md")
    yield entry("simulate serve", "lab.simulation", "serve", "let a bay's simulated cameras listen", "add_a_bay.md")
    yield entry(
        "simulate render", "lab.simulation", "render", "write a frame of one camera, or of each", "add_a_bay.md"
    )
    yield entry(
        "simulate twin", "lab.simulation", "twin", "write a bay's twin, to try it on this machine", "add_a_bay.md"
    )
    yield entry("demo", "lab.demo", "", "six slots through a real Airflow, beside the truth")
    yield entry("backtest run", "lab.backtest", "run", "run a stored period again, and compare", "backtest.md")
    yield entry("backtest compare", "lab.backtest", "compare", "compare a trial that was run", "backtest.md")
    yield entry("backtest export", "lab.backtest", "export", "write stored frames as files", "backtest.md")
    yield entry("legacy check", "legacy", "check", "what of the old system's data does not fit", "migration.md")
    yield entry("legacy dump", "legacy", "dump", "the old Redis' hashes, a line of JSON each", "migration.md")
    yield entry("legacy import", "legacy", "import", "old results into the history, marked", "migration.md")
    yield entry("legacy compare", "legacy", "compare", "old and new beside each other: is a bay ready", "migration.md")
    yield entry("legacy bridge", "legacy", "bridge", "hash and message for the old consumers", "migration.md")
    yield entry("legacy own", "legacy", "own", "give a bay to another owner, between two slots", "migration.md")
    yield entry(
        "legacy status", "legacy", "status", "who owns each bay, and whether its bridge keeps up", "migration.md"
    )
    yield entry("airflow", _AIRFLOW, "", "Airflow's own commands, on this installation's DAGs", "deploy.md")
    yield entry("lab evaluate", "lab.evaluation", "", "how right fusion and the whole pipeline are")
    yield entry("lab cluster check", "lab.cluster", "check", "whether several hosts can be built here", "network.md")
    yield entry("lab cluster up", "lab.cluster", "up", "build them, and leave them up", "network.md")
    yield entry("lab cluster sweep", "lab.cluster", "sweep", "clear up after a crash", "network.md")
    yield entry(
        "lab migration", "lab.migration", "", "one bay from the old system to this one and back", "migration.md"
    )
    yield entry("lab capacity plan", "lab.capacity", "plan", "what a yard of many bays needs", "capacity.md")
    yield entry("lab capacity values", "lab.capacity", "values", "values for Airflow's Helm chart", "capacity.md")
    yield entry("lab fuzz", "lab.fuzzing", "", "arbitrary bytes for every reader of foreign data")


ENTRIES: tuple[Entry, ...] = tuple(_entries())


def main() -> int:
    """Run what the command line names."""
    try:
        status = program_group().main(prog_name=NAME, standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return WRONG_USE if isinstance(error, click.UsageError) else error.exit_code
    return int(status or 0)


def program_group() -> click.Group:
    """`bay-observation` and everything under it."""
    top = _Jobs(
        name=NAME,
        help="Where every ship block stands: everything that can be done, by job.",
        epilog="Exit status: 0 done, 1 failed or not in order, 2 wrong use, 3 no answer now, 130 Ctrl-C.",
        no_args_is_help=True,
    )
    top.params.append(click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version))
    groups: dict[tuple[str, ...], click.Group] = {(): top}
    for entry in ENTRIES:
        for depth in range(1, len(entry.path)):
            path = entry.path[:depth]
            if path not in groups:
                groups[path] = click.Group(path[-1], help=JOBS.get(path[0]), no_args_is_help=True)
                groups[path[:-1]].add_command(groups[path])
        groups[entry.path[:-1]].add_command(_Leaf(entry))
    return top


def _airflow(arguments: Sequence[str]) -> int:
    """Airflow's own program, which reads its arguments from `sys.argv`."""
    os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", str(_folder_of("dags")))
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    sys.argv = [_AIRFLOW, *arguments]
    import_module("airflow.__main__").main()
    return 0


class _Jobs(click.Group):
    """The top: its help lists every command under its job."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(" ".join(entry.path)) for entry in ENTRIES)
        for job, words in JOBS.items():
            rows = [(" ".join(e.path).ljust(width), e.help) for e in ENTRIES if e.path[0] == job]
            if rows:
                with formatter.section(words[0].upper() + words[1:]):
                    formatter.write_dl(rows, col_max=width)


class _Leaf(click.Command):
    """A command of another package: its arguments, `--help` among them, are its own."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(
            entry.path[-1],
            help=entry.help,
            short_help=entry.help,
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
            callback=entry.run,
            params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, shell_complete=_bays)],
        )
        self.entry = entry

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if not incomplete.startswith("-") or not self.entry.has_parser:
            return []
        actions = self.entry.parser()._actions
        options = [
            (option, action)
            for action in actions
            if action.help != argparse.SUPPRESS
            for option in action.option_strings
        ]
        return [CompletionItem(option, help=a.help) for option, a in options if option.startswith(incomplete)]


def _bays(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of bays, from the names of their files; nothing is read."""
    return [CompletionItem(name) for name in bay_names() if name.startswith(incomplete)]


def _folder_of(package: str) -> Path:
    """Where an installed package lies; it is not imported."""
    found = find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin is not None else Path()


def _version(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value:
        click.echo(f"{NAME} {__version__}")
        ctx.exit()


def start() -> None:
    """Run the console script."""
    run_command(main)


if __name__ == "__main__":
    run_command(main)
