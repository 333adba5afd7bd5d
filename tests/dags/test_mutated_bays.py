"""One bay's file is changed at random: the other bays always have all of their DAGs."""

import random
from pathlib import Path

import pytest
import yaml

from bays import dag_id
from dags import bay_config_check
from dags.bay_dag_factory import build_dags

VALUES = ["yes", "null", "-1", "99 * * * *", "{{ x }}", "2025-13-01", "[a, b]", "{a: b}", "'", '"', "1e999", ".nan", "&a", "*a", "!!python/name:os.system", "\t", "한", "\x07"]  # fmt: skip # noqa: E501


@pytest.fixture
def bays(make_bay, bays_folder):
    for bay_id in ("first", "middle", "last"):
        make_bay(bay_id)
    return bays_folder


def mutated(text: str, changes: random.Random) -> str:
    lines = text.splitlines()
    for _ in range(changes.randint(1, 3)):
        at = changes.randrange(len(lines))
        what = changes.randrange(4)
        if what == 0:
            key = lines[at].partition(":")[0]
            lines[at] = f"{key}: {changes.choice(VALUES)}"
        elif what == 1:
            del lines[at]
        elif what == 2:
            lines.insert(at, changes.choice(VALUES) + changes.choice(["", ": b", ":"]))
        else:
            cut = changes.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + changes.choice(VALUES) + lines[at][cut:]
    return "\n".join(lines[: changes.randint(1, len(lines))] if changes.random() < 0.1 else lines)


@pytest.mark.parametrize("seed", range(4))
def test_the_others_have_all_their_dags(bays: Path, seed: int):
    changes = random.Random(seed)
    good = yaml.safe_dump(yaml.safe_load((bays / "middle.yaml").read_text()), allow_unicode=True)
    for _ in range(12):
        (bays / "middle.yaml").write_text(mutated(good, changes), encoding="utf-8")
        made = set(build_dags())
        for bay_id in ("first", "last"):
            assert {dag_id(kind, bay_id) for kind in ("observation", "fusion", "tracking")} <= made
        messages = bay_config_check.faults()
        shown = dag_id("observation", "middle") in made or bool(messages)
        assert shown or yaml.safe_load((bays / "middle.yaml").read_text()).get("enabled") is not True
