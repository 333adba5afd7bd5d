"""What the demo says at its end of how to go on."""

from pathlib import Path

from lab.demo.__main__ import _questions


def test_the_commands_that_ask_what_it_left_behind_can_be_copied():
    first, *_ = _questions("7bay", Path("/tmp/a demo/data"), "/tmp/a demo/bays")
    assert first == "DATA_PATH='/tmp/a demo/data' BAYS_PATH='/tmp/a demo/bays' bay-observation history show 7bay"
    assert _questions("demo_bay", Path("/d"), None)[0] == "DATA_PATH=/d bay-observation history show demo_bay"
