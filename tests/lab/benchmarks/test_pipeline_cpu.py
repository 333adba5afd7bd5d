"""What `make bench-pipeline` makes of the services' CPU."""

import pytest

from lab.benchmarks.pipeline_cpu import cores_line, cpu_of, least_s

CASE = {
    "idle_cpu": {"scheduler": 0.2, "observer-a": 0.0, "observer-b": 0.0, "cameras-a": 0.0},
    "alone": [
        {"total_s": 4.0, "cpu_over_s": 10.0, "cpu_s": {"scheduler": 3.0, "observer-a": 2.0, "cameras-a": 0.0}},
        {"total_s": 6.0, "cpu_over_s": 10.0, "cpu_s": {"scheduler": 5.0, "observer-a": 3.0, "cameras-a": 0.0}},
    ],
    "together": [
        {"total_s": 8.0, "cpu_over_s": 10.0, "cpu_s": {"scheduler": 4.0, "observer-a": 3.0, "observer-b": 4.0}}
    ],
}


def test_a_bays_own_services_are_added_up_and_idling_is_taken_off():
    assert cpu_of(CASE, "alone") == pytest.approx({"scheduler": 2.0, "observer": 2.5, "cameras": 0.0})
    assert cpu_of(CASE, "together") == pytest.approx({"scheduler": 2.0, "observer": 7.0})


def test_a_service_that_did_less_than_idle_cost_nothing():
    slots = [{"total_s": 4.0, "cpu_over_s": 10.0, "cpu_s": {"scheduler": 1.0}}]
    assert cpu_of(CASE | {"alone": slots}, "alone") == {"scheduler": 0.0}


def test_the_least_time_leaves_the_cores_their_idling():
    assert least_s(CASE, "together", 2) == pytest.approx(9.0 / 1.8)
    assert least_s(CASE, "together", 0) == float("inf")


def test_the_line_sets_it_against_what_was_measured():
    assert cores_line(CASE, 2).startswith(
        "all at once: 8.00 s, 1.60 x one bay. 2 cores that never wait take 5.00 s for their CPU, 1.00 x"
    )
