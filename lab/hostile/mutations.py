"""A bay's file changed at random: by line, by value, by byte, and into something that is no text file at all."""

import copy
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

# What stands on a line, in place of a value or beside it.
_FRAGMENTS = (
    "yes", "null", "-1", "99 * * * *", "{{ x }}", "2025-13-01", "[a, b]", "{a: b}", "'", '"', "1e999", ".nan", "&a",
    "*a", "!!python/name:os.system", "!!binary aGFsbG8=", "\t", "한", "\x07", "0x7f", "1_000", "190:20:30", "~", "---",
)  # fmt: skip
# What is put in a value's place, as YAML writes it.
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ", "\0",
    "a\0b", "\x1b[31m", "a\nb", "\ud800", "\u202e", "x" * 300, "x" * 5000, "../../etc", "/dev/zero", "{{ 1 / 0 }}",
    "{% raw %}", "%(x)s", "${HOME}", "255.255.255.255", "::1", "10.0.0.0/33", "2025-01-01", "24:00-25:00",
    "UTC", "../UTC", "Asia/Seoul\0", "Factory", "posixrules",
    "0 0 30 2 *", "* * * * * *", "@daily", "@once", "@continuous", "@reboot", "60 * * * *", "*/0 * * * *",
    "*/10 * * * ?", "0 0 * * 8", "0 0 L * *", "H * * * *", "R * * * *", "0 0 29 2 1#5", "0 0 31 */2 *", "10-5 * * * *",
    "0,0,0,0 * * * *", "*/10  *  *  *  *", "0 0 1 1 *", "0 0 29 2 *",
    [], {}, [[]], {"": ""}, ["a"] * 50, {"a": {"b": {"c": 1}}},
)  # fmt: skip

_NOTIFIER = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
_IN_RANGE: dict[str, tuple[Any, ...]] = {
    "description": ("", "x" * 3000, "한글 블록", "{{ 1 / 0 }}", "{% raw %}", "%(x)s %", "<script>", "a\nb",
        "\u202e", "🔩" * 500, "\\0"),
    "schedule": ({}, {"observation": None}, {"observation": "*/10 * * * *", "fusion": None}),
    "schedule.observation": (
        "0 0 29 2 *", "*/1 * * * *", "59 23 31 12 *", "0 0 1 1 0", "0-59/7 1,2,3 * 1-6 mon-fri", "0 0 L * *",
        "0 0 * * sun#3", "0 0 * * 7", "00 00 * * *", "0 0 31 4 *", "0 0 1-31 * *", " 0 0 * * * ", "0 0 * jan *",
    ),
    "timezone": ("UTC", "America/St_Johns", "Etc/GMT+12", "Asia/Kathmandu", "Pacific/Kiritimati", "EST5EDT"),
    "retry_delay": (1, 1.5, 540), "capture_deadline": (0.001, 540, 1e-9), "capture_window": (0.1, 86_400, None),
    "capture_attempts": (1, 10), "camera_down_after": (1, 144), "camera_quorum": (1, 12, 13), "enabled": (True, False),
    "operating_hours": ([], ["00:00-23:59"], ["23:59-00:00"], ["08:00-08:00"] * 20, ["08 : 00 - 09 : 00"]),
    "storage.wait": (60, 604_800, 60.5), "conditions.min_brightness": (0, 255),
    "image_provider": ("http", "rtsp", "file"),
    "notifications": (
        [],
        [{"name": "a", "notifier": _NOTIFIER, "arguments": {"to": "x"}}],
        [{"name": "a", "notifier": "os.system"}], [{"name": "b", "notifier": "no.such.thing", "events": ["moved"]}],
    ),
    "models.yolo_detection": ("", "x" * 5000, "/", "weights with blanks.pt", "{{ x }}.pt"),
    "models.class_names": ({}, {"": ""}, {"x" * 5000: "block"}, {"{{ x }}": "{{ y }}"}),
    "models.stages": ((), ["A"] * 500, ["한"]), "tracking": ({}, {"doubt": 0.5}),
}  # fmt: skip


def mutated(text: str, changes: random.Random) -> bytes:
    """The bytes of a bay's file after one to three changes.

    Args:
        text: of a right file.
        changes: gives the same file for the same state.
    """
    kinds = (_by_line, _by_value, _by_value, _by_byte, _in_range, _in_range, _in_range)
    return changes.choice(kinds)(text, changes)


def no_text_files(folder: Path) -> dict[str, Callable[[Path], object]]:
    """What may stand in a bay's file's place, by name; each makes it at a path of `folder`."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )

    def sparse(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(3 * 2**30)

    def loop(path: Path) -> None:
        (folder / "other").unlink(missing_ok=True)
        (folder / "other").symlink_to(path)
        path.symlink_to(folder / "other")

    return {
        "FIFO": os.mkfifo,
        "folder": Path.mkdir,
        "loop of links": loop,
        "link to nothing": lambda path: path.symlink_to(folder / "nothing"),
        "link to a device": lambda path: path.symlink_to("/dev/zero"),
        "sparse file of 3 GB": sparse,
        "empty file": Path.touch,
        "aliases of aliases": lambda path: path.write_text(bomb),
        "alias of itself": lambda path: path.write_text("a: &a [*a]\n"),
        "brackets": lambda path: path.write_text("[" * 100_000),
        "UTF-16": lambda path: path.write_bytes("description: x\n".encode("utf-16")),
        "a long key": lambda path: path.write_text(f"? {'k' * 100_000}\n: 1\n"),
        "many documents": lambda path: path.write_text("---\na: 1\n" * 10_000),
        "many keys": lambda path: path.write_text("".join(f"k{n}: 1\n" for n in range(30_000))),
    }


def _by_line(text: str, changes: random.Random) -> bytes:
    lines = text.splitlines()
    for _ in range(changes.randint(1, 3)):
        at = changes.randrange(len(lines))
        fragment = changes.choice(_FRAGMENTS)
        what = changes.randrange(4)
        if what == 0:
            lines[at] = f"{lines[at].partition(':')[0]}: {fragment}"
        elif what == 1 and len(lines) > 1:
            del lines[at]
        elif what == 2:
            lines.insert(at, fragment + changes.choice(["", ": b", ":"]))
        else:
            cut = changes.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + fragment + lines[at][cut:]
    kept = changes.randint(1, len(lines)) if changes.random() < 0.1 else len(lines)
    return "\n".join(lines[:kept]).encode("utf-8", "surrogatepass")


def _by_value(text: str, changes: random.Random) -> bytes:
    content = copy.deepcopy(yaml.safe_load(text))
    for _ in range(changes.randint(1, 2)):
        holder, key = changes.choice(list(_places(content)))
        what = changes.randrange(6)
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, dict):
            holder[changes.choice(["", "a b", "{{ x }}", "\0", "한", 1, None, True])] = holder.pop(key)
        elif what == 2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = changes.choice(_VALUES)
    return yaml.safe_dump(content, allow_unicode=changes.random() < 0.5).encode("utf-8", "surrogatepass")


def _in_range(text: str, changes: random.Random) -> bytes:
    """Values that a bay's file may have, or nearly: what is taken here must suit Airflow and its database too."""
    content = yaml.safe_load(text)
    for key, values in changes.sample(list(_IN_RANGE.items()), changes.randint(1, 4)):
        holder, *names = content, *key.split(".")
        for name in names[:-1]:
            holder = holder.setdefault(name, {})
        holder[names[-1]] = changes.choice(values)
    return yaml.safe_dump(content, allow_unicode=changes.random() < 0.5).encode("utf-8", "surrogatepass")


def _by_byte(text: str, changes: random.Random) -> bytes:
    content = bytearray(text.encode())
    for _ in range(changes.randint(1, 4)):
        at = changes.randrange(len(content))
        content[at : at + changes.choice([0, 1, 1, 4])] = bytes(changes.choices(range(256), k=changes.randint(0, 3)))
    return bytes(content)


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a tree, by its holder and key; the tree itself has none."""
    keys = content.keys() if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield content, key
        yield from _places(content[key])
