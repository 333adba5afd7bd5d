"""A few files through Airflow's own database; `make check-hostile` does a thousand."""

import pytest

from lab.hostile import bays_in_airflow

pytestmark = pytest.mark.slow(30)


def test_changed_files_cost_the_other_bays_nothing(tmp_path):
    stored = bays_in_airflow.measure(tmp_path, files=40, seed=0)
    assert stored.files == 40
    assert stored.refused > 10
    assert (stored.lost, stored.silent, stored.late) == ([], [], [])
    assert stored.slowest_s < bays_in_airflow.LONGEST_S
