"""A batch's cost: what is above idling, for one start."""

import json

import pytest

from bay_observation.errors import ConfigError
from lab.capacity.measured import batch_cost


def test_what_a_batch_costs(cost):
    assert cost.starts == 8
    assert cost.totals_s == {1: pytest.approx(9.2), 2: 10.0, 3: 12.0}
    for seconds in (cost.scheduler_s, cost.api_s, cost.database_s):
        assert seconds == pytest.approx(0.05)
    assert cost.worker_s == pytest.approx(0.2)  # without the stages' own three seconds
    assert cost.main_cpu_s == pytest.approx(8 * 0.15)
    assert (cost.triggerer_s, cost.simulated_s) == (pytest.approx(0.2), pytest.approx(0.4))
    assert (cost.idle_cores, cost.all_idle_cores) == (pytest.approx(0.6), pytest.approx(1.0))
    assert (cost.transactions, cost.wal_bytes, cost.connections) == (pytest.approx(400), pytest.approx(1e6), 36)


@pytest.mark.parametrize("missing", ["two", "idle_cpu", "connections"])
def test_results_of_an_older_benchmark(document, tmp_path, missing):
    del document["cases"]["env/base.env"][missing]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="make bench-pipeline"):
        batch_cost(path)


def test_no_results(tmp_path):
    with pytest.raises(ConfigError, match="make bench-pipeline"):
        batch_cost(tmp_path / "none.json")
