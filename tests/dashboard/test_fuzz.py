"""Whatever is asked, the API answers or refuses: an exception of its own would end the test."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ODD = [
    "",
    "\x00",
    "NaN",
    "-1",
    "1e400",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "' OR 1=1 --",
    "한글",
    "=1",
]
GOOD = [
    "2025-07-01T22:00:00Z",
    "2025-07-02T04:00:00Z",
    "yard",
    "yard-000001",
    "20250701-230000",
    "C_2",
    "csv",
    "moved",
    "1",
]
VALUES = st.one_of(
    st.sampled_from([*ODD, *GOOD]), st.text(max_size=12), st.datetimes().map(lambda time: time.isoformat() + "Z")
)
NAMES = ("start", "end", "at", "slot", "kind", "area", "track", "cursor", "limit", "v")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_question_is_an_error_of_the_server(
    api: Any, token: Callable[[str], dict[str, str]], data: st.DataObject
) -> None:
    route = data.draw(st.sampled_from([route for route in api.app.routes if isinstance(route, APIRoute)]))
    known = {"bay_id": "yard", "slot": "20250701-230000"}
    parts = {
        name: quote(data.draw(st.sampled_from([known.get(name, "C_2"), data.draw(VALUES)])), safe="")
        for name in route.param_convertors
    }
    query = data.draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))

    answer = api.get(route.path.format(**parts), headers=token("boss"), params=query)

    assert answer.status_code < 500
