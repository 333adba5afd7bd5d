"""The login of a bay's cameras."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """Login and password of all cameras of a bay, from the Airflow Connection `onvif_{bay_id}`.

    The password is in no `repr`, so that it reaches no log by way of a message.
    """

    username: str
    password: str = field(repr=False)
