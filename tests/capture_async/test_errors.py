import errno

import pytest

from capture_async import FailureReason
from capture_async.errors import connection_error, unexpected_error


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_the_host_s_own_limits_are_no_camera_s_fault(number):
    for error in (connection_error("C_1", OSError(number, "x")), unexpected_error("C_1", OSError(number, "x"))):
        assert error.reason is FailureReason.OBSERVER_FAULT
        assert "PoE" not in error.detail


@pytest.mark.parametrize(
    ("error", "said"),
    [(ConnectionRefusedError(errno.ECONNREFUSED, "x"), "Connection refused"), (OSError("x"), "OSError")],
)
def test_a_camera_that_cannot_be_reached(error, said):
    found = connection_error("10.0.0.1:80", error)
    assert (found.reason, found.detail) == (FailureReason.UNREACHABLE, f"10.0.0.1:80: {said}")


def test_what_no_reader_foresees_names_its_kind_and_repeats_nothing():
    found = unexpected_error("10.0.0.1:80", ValueError("hunter2"))
    assert found.reason is FailureReason.FAULTY_REPLY
    assert "ValueError" in found.detail
    assert "hunter2" not in found.detail
