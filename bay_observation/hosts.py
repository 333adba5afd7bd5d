"""Under which name Airflow knows this host (`[core] hostname_callable`)."""

import socket

from bay_observation import settings


def advertised_host() -> str:
    """`ADVERTISED_HOST`, else the host's own name.

    The API server fetches the logs of running tasks from here: in a bay's network the observer's
    address serves, where its name is known to no name server.
    """
    return settings.ADVERTISED_HOST.read() or socket.gethostname()
