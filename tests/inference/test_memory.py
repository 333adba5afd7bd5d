"""Out of memory: the same work in halves, and an outcome for what does not fit even alone."""

import pytest
import torch

from inference.memory import in_chunks


class Device:
    """Holds so many items at a time, and notes the sizes of the calls that it is given."""

    def __init__(self, room: int, too_large: frozenset[int] = frozenset()) -> None:
        self.room, self.too_large = room, too_large
        self.sizes: list[int] = []

    def __call__(self, items: list[int]) -> list[int]:
        self.sizes.append(len(items))
        if len(items) > self.room or self.too_large & set(items):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return [10 * item for item in items]


def test_what_fits_is_done_in_calls_of_the_size() -> None:
    device = Device(room=4)
    assert in_chunks(device, range(10), 4) == [10 * i for i in range(10)]
    assert device.sizes == [4, 4, 2]


@pytest.mark.parametrize(("room", "sizes"), [(3, [4, 2, 2, 2, 2, 2]), (1, [4, 2, *[1] * 10])])
def test_the_batch_is_halved_until_it_fits_and_stays_small(room: int, sizes: list[int]) -> None:
    device = Device(room)
    assert in_chunks(device, range(10), 4) == [10 * i for i in range(10)]
    assert device.sizes == sizes


def test_an_item_that_does_not_fit_alone_has_no_result_and_the_others_check_abandoned() -> None:
    assert in_chunks(Device(4, frozenset({5})), range(8), 4) == [0, 10, 20, 30, 40, None, 60, 70]


def test_no_items_no_call() -> None:
    device = Device(4)
    assert in_chunks(device, [], 4) == []
    assert device.sizes == []


def test_another_error_is_passed_on() -> None:
    def fail(_: list[int]) -> list[int]:
        raise RuntimeError("sizes of tensors must match")

    with pytest.raises(RuntimeError, match="must match"):
        in_chunks(fail, range(4), 4)
