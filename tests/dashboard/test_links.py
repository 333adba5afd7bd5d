"""Buttons on tasks, as Airflow's own API answers them."""

import warnings
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

LINKS = {"Floor": "floor", "Frames": "frames", "Events": "events"}


def of(dag_id: str, run_id: str) -> Any:
    return SimpleNamespace(dag_id=dag_id, run_id=run_id)


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    from dashboard.plugin import BayDashboardPlugin

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.yard/main/")
    return {link.name: link for link in BayDashboardPlugin().global_operator_extra_links}


def test_a_task_leads_to_its_slot(links: dict[str, Any]) -> None:
    run = of("fusion_3bay_north_dag", "fusion__3bay_north_20250702-161000")

    assert {name: link.get_link(None, ti_key=run) for name, link in links.items()} == {
        name: f"/main/plugin/bays?bay=3bay_north&page={page}&at=2025-07-02T16%3A10%3A00Z"
        for name, page in LINKS.items()
    }


@pytest.mark.parametrize(
    "dag_id", ["housekeeping_dag", "example", "fusion_Bay_dag", "fusion__dag", "my_fusion_yard_dag"]
)
def test_a_task_of_another_dag_has_none(links: dict[str, Any], dag_id: str) -> None:
    assert {link.get_link(None, ti_key=of(dag_id, "scheduled__x")) for link in links.values()} == {""}


@pytest.mark.usefixtures("_airflow_database")
def test_a_scheduled_run_has_its_date(links: dict[str, Any]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    dag_id, slot = "observation_yard_dag", datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
    with create_session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = DagRun(dag_id, run_id="scheduled__one", logical_date=slot, run_after=slot, run_type=DagRunType.SCHEDULED)
        session.add(run)
    try:
        link = links["Floor"].get_link(None, ti_key=of(dag_id, "scheduled__one"))
        assert link.endswith("at=2025-07-02T01%3A00%3A00Z")
        assert "at=" not in links["Floor"].get_link(None, ti_key=of(dag_id, "gone"))
    finally:
        with create_session() as session:
            session.delete(session.merge(run))


def test_without_the_dashboard_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.plugin import BayDashboardPlugin

    monkeypatch.setenv("DASHBOARD", "off")

    assert BayDashboardPlugin().global_operator_extra_links == []
