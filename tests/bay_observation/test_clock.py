import pytest

from bay_observation import clock
from bay_observation.errors import ConfigError


def test_the_real_clock_is_the_default(monkeypatch):
    monkeypatch.delenv("CLOCK")
    assert not clock.every_slot_is_now()


def test_a_simulated_day_says_so(monkeypatch):
    monkeypatch.setenv("CLOCK", "slot")
    assert clock.every_slot_is_now()


def test_production_refuses_it(monkeypatch):
    monkeypatch.setenv("CLOCK", "slot")
    monkeypatch.setenv("STORE_MARKER", "required")
    with pytest.raises(ConfigError, match="for demo, lab and backtest"):
        clock.every_slot_is_now()


def test_other_clocks_are_refused(monkeypatch):
    monkeypatch.setenv("CLOCK", "yesterday")
    with pytest.raises(ConfigError, match="CLOCK=yesterday: write real, or slot"):
        clock.every_slot_is_now()
