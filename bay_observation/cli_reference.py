"""`docs/commands.md`, written from the commands' own parsers: `python -m bay_observation.cli_reference`."""

import argparse
from collections.abc import Iterable, Iterator

from bay_observation.cli import ENTRIES, JOBS, NAME, Entry
from bay_observation.commands import __doc__ as convention
from bay_observation.commands import run_command

_HEAD = f"""# Commands

<!-- Written by `python -m bay_observation.cli_reference > docs/commands.md`; a test holds it. -->

`make install` puts `{NAME}` into `.venv/bin`: run `source .venv/bin/activate` once in a shell, or write
`.venv/bin/{NAME}`. In a container of a deployment it is on the path ([deploy.md](deploy.md#what-to-watch)).
`{NAME} --help` lists all commands; `--help` after any of them has every option. Each is an alias of a
`python -m …` that does the same; `make help` lists the targets.
"""
_STATUSES = """## Exit status

The same for every command:

{table}

`--json`, where a command has it, prints one JSON document and nothing else on the standard output.
"""
_COMPLETION = f"""## Completion in the shell

Commands, options and the bays' ids are completed once the shell knows them:

```console
$ eval "$(_BAY_OBSERVATION_COMPLETE=bash_source {NAME})"                 # bash; in ~/.bashrc to keep it
$ eval "$(_BAY_OBSERVATION_COMPLETE=zsh_source {NAME})"                  # zsh
$ _BAY_OBSERVATION_COMPLETE=fish_source {NAME} | source                  # fish
```
"""
_MEASURED = """## What measures

| command | |
|---|---|
| `python -m lab.evaluation.tracking_bench` | `make eval-tracking`: how right the tracker is |
| `python -m lab.evaluation.pose_check` | how well cameras out of their pose are found |
| `python -m lab.benchmarks.load`, `inference`, `history`, `pipeline` | `make load`, `bench-inference`, … \
([what is measured](../lab/benchmarks/README.md)) |
| `python -m lab.benchmarks.check_hostile artifacts`, `cameras`, `bays`, `fuzzing` | `make check-hostile`: odd and \
hostile input stops itself alone |
"""


def document() -> str:
    """`docs/commands.md`."""
    table = "\n".join(line for line in (convention or "").splitlines() if line.startswith("|"))
    jobs = [f"{job}: {words}\n\n{_table(job)}" for job, words in JOBS.items()]
    parts = [_HEAD, *(f"## {part}\n" for part in jobs), _STATUSES.format(table=table), _COMPLETION]
    return "\n".join([*parts, "# Every command\n", *map(_section, _documented()), _MEASURED])


def _table(job: str) -> str:
    rows = ["| command | | page |", "|---|---|---|"]
    for entry in ENTRIES:
        if entry.path[0] == job:
            page = f"[{entry.page}]({entry.page})" if entry.page else ""
            rows.append(f"| `{NAME} {' '.join(entry.path)}` | {_cell(entry.help)} | {page} |")
    return "\n".join(rows)


def _documented() -> Iterable[Entry]:
    return (entry for entry in ENTRIES if entry.has_parser)


def _section(entry: Entry) -> str:
    actions = [
        action for action in entry.parser()._actions if action.help != argparse.SUPPRESS and action.dest != "help"
    ]
    usage = " ".join([NAME, *entry.path, *_usage(actions)])
    rows = [f"| `{_name(action)}` | {_cell(_help(action))} |" for action in actions]
    table = ["", "| argument | |", "|---|---|", *rows] if rows else []
    lines = [f"## {' '.join(entry.path)}", "", f"{entry.help[0].upper()}{entry.help[1:]}. Also `{entry.alias}`."]
    return "\n".join([*lines, "", "```text", usage, "```", *table, ""])


def _usage(actions: Iterable[argparse.Action]) -> Iterator[str]:
    for action in sorted(actions, key=lambda one: not one.option_strings):
        text = _name(action)
        if action.option_strings:
            yield text if action.required else f"[{text}]"
        else:
            yield {"?": f"[{text}]", "*": f"[{text} ...]", "+": f"{text} ..."}.get(str(action.nargs), text)


def _name(action: argparse.Action) -> str:
    value = action.metavar or (",".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = f"{{{value}}}" if action.choices and not action.metavar else str(value)
    if not action.option_strings:
        return value
    return action.option_strings[-1] if action.nargs == 0 else f"{action.option_strings[-1]} {value}"


def _help(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "default": action.default}
    shown = action.default not in (None, False, argparse.SUPPRESS, [], "") and action.nargs != 0
    if shown and str(action.default) not in text:
        text += f" ({action.default})"
    return text


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> int:
    """Print it."""
    print(document(), end="")
    return 0


if __name__ == "__main__":
    run_command(main)
