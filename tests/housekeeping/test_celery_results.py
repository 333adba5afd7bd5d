from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from sqlalchemy import text

from bay_observation.errors import ConfigError
from housekeeping import clean_celery_results


@pytest.fixture
def results(tmp_path):
    """Celery's own tables, with a result of today and one of a year ago."""
    address = f"sqlite:///{tmp_path / 'results.db'}"
    backend = Celery(backend=f"db+{address}", set_as_current=False).backend
    backend.store_result("today", None, "SUCCESS")
    backend.store_result("long ago", None, "SUCCESS")
    with backend.ResultSession() as session:
        old = {"moment": datetime.now(UTC).replace(tzinfo=None) - timedelta(days=365)}
        session.execute(text("UPDATE celery_taskmeta SET date_done = :moment WHERE task_id = 'long ago'"), old)
        session.commit()
    return address, backend


def left(backend):
    with backend.ResultSession() as session:
        return {row[0] for row in session.execute(text("SELECT task_id FROM celery_taskmeta"))}


def test_old_results_go_and_a_dry_run_says_how_many(results):
    address, backend = results
    for dry_run, kept in ((True, {"today", "long ago"}), (False, {"today"})):
        report = clean_celery_results(address, 30, dry_run=dry_run)
        assert [(freed.what, freed.count) for freed in report.freed] == [("rows of celery_taskmeta", 1)]
        assert left(backend) == kept
    assert clean_celery_results(address, 30, dry_run=False).freed == []


def test_no_table_yet_and_no_database(tmp_path):
    assert clean_celery_results(f"sqlite:///{tmp_path / 'new.db'}", 30, dry_run=False).freed == []
    with pytest.raises(ConfigError, match="is PostgreSQL up"):
        clean_celery_results("postgresql+psycopg://results:secret@127.0.0.1:9/x", 30, dry_run=False)
