import pytest

from lab.migration.cost import modules_without_bridge


@pytest.mark.slow(6)
def test_the_dags_load_nothing_of_it():
    assert modules_without_bridge() == 0
