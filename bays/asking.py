"""What the models and the cameras themselves say of a bay, beside what its file says.

This package knows neither: their own commands are asked, each in a process of its own, and what they print with
`--json` becomes findings.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bays.checking import Finding

_MODELS, _CAMERAS = ("inference", "check"), ("capture_async", "probe")
_LONGEST_S = 600.0
_NAMED = re.compile(r"(models\.[^:]+): (.*)", re.DOTALL)


def ask_models(bay_id: str) -> list[Finding]:
    """Whether each checkpoint of the bay loads, and which classes it does not know."""
    said, trouble = _asked(_MODELS, [bay_id, "--json"])
    if said is None:
        return [Finding("error", "models", trouble)]
    return list(_of_models(said[bay_id]))


def ask_cameras(bay_id: str, *, login: bool = True) -> list[Finding]:
    """Whether each camera of the bay gives a frame now; each is asked once.

    Args:
        bay_id: the bay.
        login: by that of the environment, as `camera probe` finds it; False for cameras that want none.
    """
    said, trouble = _asked(_CAMERAS, [bay_id, "--json", *([] if login else ["--no-login"])])
    if said is None:
        return [Finding("error", "cameras", trouble)]
    return list(_of_cameras(said))


def _asked(command: Sequence[str], arguments: Iterable[str]) -> tuple[dict[str, Any] | None, str]:
    """The command's document, or None and why there is none."""
    words = [sys.executable, "-m", *command, *arguments]
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_LONGEST_S
        )
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return None, f"python -m {' '.join(command)} gave no answer within {_LONGEST_S:.0f} seconds"
    except ValueError:
        return None, done.stderr.strip() or f"python -m {' '.join(command)} ended with {done.returncode}"
    return said, ""


def _of_models(checked: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    for one in checked:
        for finding in one["findings"]:
            where = f"models.{one['key']}"
            named = _NAMED.match(finding["text"])  # a key of its own, else that of the checkpoint
            yield Finding(finding["severity"], named[1] if named else where, named[2] if named else finding["text"])


def _of_cameras(report: dict[str, Any]) -> Iterator[Finding]:
    """A camera that gives no frame is an error where the quorum does not hold, else a warning."""
    for camera in report["cameras"]:
        where = f"cameras.{camera['name']}"
        if camera["reason"] is not None:
            text = ": ".join(part for part in (camera["reason"], camera["detail"], camera["advice"]) if part)
            yield Finding("warning" if report["holds_quorum"] else "error", where, text)
        for remark in camera["remarks"]:
            yield Finding("warning", where, remark)
