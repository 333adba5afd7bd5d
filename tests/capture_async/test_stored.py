"""Frames of captures in a store."""

from datetime import UTC, datetime, timedelta

from capture_async.stored import newest_frames

MOVED = datetime(2025, 7, 2, 2, 0, tzinfo=UTC)


def test_frames_from_before_cameras_were_moved_are_left_out(store, make_bay, make_capture):
    """Else floor marks would be kept, and lines drawn, where the camera does not look any more."""
    bay = make_bay()
    for capture in (make_capture(bay, MOVED - timedelta(minutes=10), 2), make_capture(bay, MOVED, 1)):
        store.save("capture", bay.bay_id, capture.batch_id, capture)
    first, second = (camera.name for camera in bay.cameras[:2])
    assert set(newest_frames(store, bay.bay_id, [first, second])) == {first, second}
    assert set(newest_frames(store, bay.bay_id, [first, second], MOVED)) == {first}
