"""When a task of a processor tries again."""

import math
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.context import Context
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from bay_observation.errors import StoreUnavailableError


class StorePatience(RetryPolicy):
    """Tries again for as long as a store that fails may; for any other reason no oftener than usual.

    Fusion and tracking have no spool: while the shared storage takes nothing, their task fails
    with the store's named error, and the next try may find it mended.

    Args:
        wait: for how long a store that fails is tried again.
        delay: between two tries of such a store.
        other_retries: after any other failure.
    """

    def __init__(self, wait: timedelta, *, delay: timedelta = timedelta(minutes=2), other_retries: int = 2) -> None:
        self.delay = delay
        self.other_retries = other_retries
        self.retries = math.ceil(wait / delay) + other_retries

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide after a failed try."""
        if isinstance(exception.__cause__, StoreUnavailableError):
            return RetryDecision.retry(self.delay, f"the shared storage fails: {exception.__cause__.fault}")
        # Airflow counts a cleared task's tries on, and raises max_tries by its retries.
        tries = try_number - max_tries + self.retries
        return RetryDecision.fail("tried often enough") if tries > self.other_retries else RetryDecision.default()

    def task_arguments(self) -> dict[str, Any]:
        """What a task needs to be tried again like this."""
        return {"retries": self.retries, "retry_policy": self}
