"""Whatever is asked, the API answers or refuses: an exception of its own would end the test."""

import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
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
NAMES = ("start", "end", "at", "slot", "kind", "area", "track", "cursor", "limit", "v", "around", "left", "bottom")
KNOWN = {"bay_id": "yard", "slot": "20250701-230000", "track_id": "yard-000001", "camera": "C_2"}
PERIOD = {"start": "2025-07-01T22:00:00Z", "end": "2025-07-02T04:00:00Z"}
RUN = settings(deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink])


@pytest.mark.slow(6)
@settings(RUN, max_examples=120)
@given(data=st.data())
def test_no_question_is_an_error_of_the_server(
    api: Any, token: Callable[[str], dict[str, str]], data: st.DataObject
) -> None:
    route = data.draw(st.sampled_from([route for route in api.app.routes if isinstance(route, APIRoute)]))
    parts = {
        name: quote(data.draw(st.sampled_from([KNOWN.get(name, "C_2"), data.draw(VALUES)])), safe="")
        for name in route.param_convertors
    }
    query = data.draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))

    answer = api.get(route.path_format.format(**parts), headers=token("boss"), params=query)

    assert answer.status_code < 500


@pytest.fixture
def operations(api: Any, token: Callable[[str], dict[str, str]]) -> list[Any]:
    """Every operation that the API describes, as schemathesis reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        import schemathesis

    described = api.get("/api/v1/openapi.json", headers=token("boss")).json()
    return [found.ok() for found in schemathesis.openapi.from_dict(described).get_all_operations()]


@pytest.mark.slow(10)
@settings(RUN, max_examples=300)
@given(data=st.data())
def test_no_question_of_the_description_is_an_error_of_the_server(
    api: Any, token: Callable[[str], dict[str, str]], operations: list[Any], data: st.DataObject
) -> None:
    """Values as the OpenAPI has them, and such as it forbids, in path, query and body."""
    from schemathesis import GenerationMode

    operation = data.draw(st.sampled_from(operations))
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    # Of a bay, a track, a slot that exist there is more to answer.
    parts = {
        name: data.draw(st.sampled_from([value, KNOWN.get(name, value)])) for name, value in _of(case.path_parameters)
    }
    query = dict(_of(case.query)) | data.draw(st.sampled_from([{}, PERIOD]))
    path = operation.path.format(**{name: quote(str(value), safe="") for name, value in parts.items()})
    body = {"json": case.body} if isinstance(case.body, dict | list | str | int | float | bool | None) else {}

    answer = api.request(operation.method.upper(), path, headers=token("boss"), params=query, **body)

    assert answer.status_code < 500


def _of(values: Any) -> list[tuple[str, Any]]:
    return list(values.items()) if values else []
