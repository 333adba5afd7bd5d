"""Who is notified of a bay's events: the `notifications` of its YAML file.

The model needs nothing of Airflow, since every DAG parse reads it. `check_notifier` looks
deeper, for `bay-observation bay validate`: it reads the notifier's source without running it.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bay_observation.errors import ConfigError

NoticeKind = Literal[
    "initial",
    "appeared",
    "moved",
    "stage_changed",
    "work_started",
    "work_stopped",
    "exited",
    "merged",
    "split",
    "dismissed",
    "corrected",
    "floor_doubted",
    "pose_drift",
    "camera_down",
    "camera_up",
]
"""Events that recipients can be notified of: kinds of `tracking.EventKind` and `CameraChangeKind`, as text."""

NOTICE_KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)

# That a block stood there when tracking began has not happened just now.
_NEWS: tuple[NoticeKind, ...] = tuple(kind for kind in NOTICE_KINDS if kind != "initial")

ASSET_LISTENER = "asset"
"""The name that the history keeps for Airflow's asset events."""

_CLASSPATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_SECRET = re.compile(r"passw|secret|token|api_?key|private_?key|credential|authorization", re.IGNORECASE)
_LOGIN_IN_ADDRESS = re.compile(r"://[^/\s@]+@")


class Notification(BaseModel):
    """One Airflow notifier, and the events that it receives.

    Attributes:
        name: of this recipient within the bay. The history records by it what was sent
            already: a recipient with a new name starts with the next batch.
        notifier: classpath of an `airflow.sdk.BaseNotifier`.
        events: kinds to send; all of them but `initial` by default.
        arguments: of the notifier. Those that it templates may use `news.text` and more
            (docs/events.md). Logins stay in Airflow Connections; give their ids.
    """

    # A value is not repeated in an error: it may be a login that was written into the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,47}$")]
    notifier: str
    events: tuple[NoticeKind, ...] = _NEWS
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value == ASSET_LISTENER:
            raise ValueError(f"{value!r} is the name under which Airflow's asset events are kept: choose another")
        return value

    @field_validator("notifier")
    @classmethod
    def _is_classpath(cls, value: str) -> str:
        if _CLASSPATH.fullmatch(value) is None:
            raise ValueError("no classpath: write it as airflow.providers.smtp.notifications.smtp.SmtpNotifier")
        return value

    @field_validator("events")
    @classmethod
    def _names_some(cls, value: tuple[NoticeKind, ...]) -> tuple[NoticeKind, ...]:
        if not value:
            raise ValueError(
                f"names no event: leave it out for all but initial, or choose from {', '.join(NOTICE_KINDS)}"
            )
        return value

    @field_validator("arguments")
    @classmethod
    def _holds_no_secret(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, found in _leaves(value):
            if _SECRET.search(key) or (isinstance(found, str) and _LOGIN_IN_ADDRESS.search(found)):
                raise ValueError(
                    f"{key}: a secret has no place in the bay's file; keep it in an Airflow Connection and give its id"
                )
        return value


def check_notifier(notification: Notification) -> None:
    """Check that the notifier is installed on this host and takes the arguments.

    Nothing is imported: the module is found on the path and its source is read. For a class
    that takes `**kwargs` only missing arguments are found, for one that inherits its `__init__` none.

    Raises:
        ConfigError: there is no such module or class, or the arguments do not fit.
    """
    where = f"notification {notification.name}"
    module, _, name = notification.notifier.rpartition(".")
    source = _source_of(module)
    if source is None:
        raise ConfigError(
            f"{where}: no module {module} on this host: install the provider that has it, or correct the classpath"
        )
    try:
        tree = ast.parse(source.read_bytes(), source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:  # what `ast` documents
        raise ConfigError(f"{where}: {source} is no Python that can be read: {error}") from error
    made = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if made is None:
        if name in _bound_names(tree):
            return  # imported from elsewhere: its arguments are not visible here
        raise ConfigError(f"{where}: module {module} has no class {name}")
    own = next((node for node in made.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
    if own is not None:
        _refuse_wrong_arguments(f"{where}: {name}", own.args, set(notification.arguments))


def _refuse_wrong_arguments(where: str, taken: ast.arguments, given: set[str]) -> None:
    positional = [argument.arg for argument in (*taken.posonlyargs, *taken.args)][1:]
    needed = {*positional[: len(positional) - len(taken.defaults)]} | {
        argument.arg for argument, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if default is None
    }
    known = {*positional, *(argument.arg for argument in taken.kwonlyargs)}
    if missing := sorted(needed - given):
        raise ConfigError(f"{where} needs the arguments {', '.join(missing)}")
    if taken.kwarg is None and (unknown := sorted(given - known)):
        raise ConfigError(f"{where} takes no {', '.join(unknown)}; it takes {', '.join(sorted(known))}")


def _source_of(module: str) -> Path | None:
    """A module's file, None where there is none on the path.

    `importlib.util.find_spec` would import the packages around it, Airflow's among them.
    """
    relative = Path(*module.split("."))
    for folder in map(Path, sys.path):
        for candidate in (folder / relative.with_suffix(".py"), folder / relative / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _bound_names(tree: ast.Module) -> set[str]:
    """Names that a module's top level imports or assigns."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{key}.{number}")
    else:
        yield key, value
