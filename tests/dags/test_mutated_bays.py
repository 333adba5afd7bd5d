"""One bay's file is changed at random: the other bays always have all of their DAGs."""

import random
from pathlib import Path

import pytest
import yaml

from bay_observation.errors import ConfigError
from bays import dag_id, load_bay
from dags import bay_config_check
from dags.bay_dag_factory import build_dags
from lab.hostile.mutations import mutated, no_text_files

pytestmark = pytest.mark.slow(1)

STAGES = ("observation", "fusion", "tracking")


@pytest.fixture
def bays(make_bay, bays_folder):
    for bay_id in ("first", "middle", "last"):
        make_bay(bay_id)
    return bays_folder


def check_the_others():
    made = set(build_dags())
    assert {dag_id(kind, bay) for kind in STAGES for bay in ("first", "last")} <= made
    try:
        wanted = {dag_id(kind, "middle") for kind in STAGES} if load_bay("middle").enabled else set()
    except ConfigError:
        wanted = None
    assert bay_config_check.faults() if wanted is None else wanted <= made


@pytest.mark.parametrize("seed", range(4))
def test_the_others_have_all_their_dags(bays: Path, seed: int):
    good = yaml.safe_dump(yaml.safe_load((bays / "middle.yaml").read_text()), allow_unicode=True)
    for number in range(12 * seed, 12 * seed + 12):
        (bays / "middle.yaml").write_bytes(mutated(good, random.Random(number)))
        check_the_others()


@pytest.mark.parametrize("name", no_text_files(Path()))
def test_what_is_no_text_file_is_refused_at_once(bays: Path, tmp_path: Path, name: str):
    (bays / "middle.yaml").unlink()
    no_text_files(tmp_path)[name](bays / "middle.yaml")
    with pytest.raises(ConfigError):
        load_bay("middle")
    check_the_others()


@pytest.mark.parametrize(
    "name",
    ["Bay 9", "a\nb", "\udcff", "b" * 200, "{{ bay }}"],
    ids=["a blank", "two lines", "no UTF-8", "too long", "a template"],
)
def test_a_file_with_an_odd_name_is_named(bays: Path, name: str, caplog: pytest.LogCaptureFixture):
    (bays / f"{name}.yaml").write_bytes((bays / "middle.yaml").read_bytes())
    check_the_others()
    (found,) = bay_config_check.faults()
    assert "is no bay id" in found
    found.encode()  # or Airflow's database would refuse the message
    assert caplog.messages
    assert all(message.isprintable() for message in caplog.messages)  # one line each, and UTF-8
