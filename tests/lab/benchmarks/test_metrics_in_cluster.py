"""What `make check-alerts` asks of a cluster, and what counts as missing; the asking itself builds the cluster."""

from bay_observation.metrics import EXPORTED, SENT
from lab.benchmarks.metrics_in_cluster import found, panels, rules

LINES = [f"airflow.{one.name},bay=north:1|g" for one in SENT]


class Prometheus:
    """Has data of every query but those that ask for one of some names."""

    def __init__(self, *without):
        self.without = without

    def has_data(self, query):
        return not any(name in query for name in self.without)


def test_all_of_it_has_data():
    answer = found(LINES, Prometheus())
    assert not any(answer.without.values())
    assert answer.asked["metrics that are sent"] == len(SENT)
    assert answer.asked["metrics that are exported"] == len(EXPORTED)


def test_a_metric_that_is_not_sent():
    name = SENT[0].name
    answer = found(LINES[1:], Prometheus())
    assert answer.without["metrics that are sent"] == [name]


def test_a_metric_that_is_not_exported_takes_its_panels_and_rules_with_it():
    answer = found(LINES, Prometheus("bay_store_latency_seconds"))
    assert answer.without["metrics that are exported"] == ["bay_store_latency_seconds"]
    assert answer.without["rules"] == ["StoreSlow: bay_store_latency_seconds"]
    assert len(answer.without["panels"]) == 1


def test_a_panel_is_asked_with_every_bay_chosen():
    queries = [query for _, query in panels()]
    assert 'bay_open{bay=~".*"}' in queries
    assert not any("$" in query for query in queries)


def test_every_rule_asks_for_something():
    asked = dict(rules())
    assert asked["BaySilent"] == ["bay_open", "bay_tracked_age_seconds"]
    assert asked["ExporterSilent"] == ["up"]
    assert all(asked.values())
