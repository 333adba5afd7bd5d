"""When a processor's task is tried again."""

from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowException

from bay_observation.errors import FusionError, StoreUnavailableError
from operators._common import task_errors
from operators.retrying import StorePatience


def failed(error):
    with pytest.raises(AirflowException) as raised, task_errors():
        raise error
    return raised.value


FULL = StoreUnavailableError("/data/x: cannot be published: the file system is full", "full")


def test_a_store_that_fails_is_tried_for_as_long_as_the_bay_allows():
    patience = StorePatience(timedelta(hours=1), delay=timedelta(minutes=5))
    assert patience.retries == 12 + 2
    decision = patience.evaluate(failed(FULL), 9, patience.retries)
    assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(minutes=5))
    assert decision.reason == "the shared storage fails: full"


@pytest.mark.parametrize("cleared", [0, 1, 2])
def test_any_other_failure_is_tried_as_often_as_ever(cleared):
    patience = StorePatience(timedelta(hours=1))
    # Airflow counts on where a task was cleared: so many tries later it may be tried as often again.
    first, max_tries = 1 + 5 * cleared, patience.retries + 5 * cleared
    actions = [
        patience.evaluate(failed(FusionError("no pose")), first + number, max_tries).action.value for number in range(3)
    ]
    assert actions == ["default", "default", "fail"]
