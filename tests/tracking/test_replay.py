import pickle

import pytest

from bay_observation.errors import TrackingError
from tracking import Tracker, replay, track


@pytest.fixture
def results(fused, block):
    """Eight slots: a block stands, another jumps in slot 4."""
    return [
        fused(n, [block("A25", 10, 10), block("A1B" if n >= 4 else "A13", 124 if n >= 4 else 51, 30 if n >= 4 else 10)])
        for n in range(8)
    ]


def in_order(bay, results):
    state, history = None, []
    for result in results:
        history.append(Tracker(bay, state).update(result))
        state = history[-1].state
    return history


def test_any_order_gives_the_ordered_run(bay, results):
    shuffled = [results[n] for n in (5, 0, 7, 2, 2, 1, 6, 3, 4, 0)]
    replayed = replay(bay, None, shuffled)
    assert [pickle.dumps(one) for one in replayed] == [pickle.dumps(one) for one in in_order(bay, results)]
    assert sum(len(one.events) for one in replayed) == 3


def test_track_goes_on_from_each_result(bay, results):
    ordered = in_order(bay, results)
    assert [pickle.dumps(one) for one in track(bay, results)] == [pickle.dumps(one) for one in ordered]
    later = list(track(bay, results[5:], ordered[4].state))
    assert [pickle.dumps(one) for one in later] == [pickle.dumps(one) for one in ordered[5:]]
    with pytest.raises(TrackingError, match="not after"):
        list(track(bay, [results[1], results[0]]))


def test_a_late_batch_is_replayed_from_the_state_before_it(bay, results):
    without = in_order(bay, [one for n, one in enumerate(results) if n != 5])
    state_before = without[4].state
    replayed = replay(bay, state_before, [results[7], results[5], results[6]])
    assert [pickle.dumps(one) for one in replayed] == [pickle.dumps(one) for one in in_order(bay, results)[5:]]


def test_a_result_before_the_state_is_refused(bay, results):
    state = in_order(bay, results)[3].state
    with pytest.raises(TrackingError, match="not after"):
        replay(bay, state, results[2:])


def test_of_two_results_for_one_slot_the_last_counts(bay, results, fused, block):
    again = fused(0, [block("A25", 10, 10)])
    assert len(replay(bay, None, [results[0], again])[0].tracks) == 1


def test_nothing_is_nothing(bay):
    assert replay(bay, None, []) == []
