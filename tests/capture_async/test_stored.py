"""Frames of captures in a store."""

from datetime import UTC, datetime, timedelta

from capture_async.stored import frames_in_folder, newest_frames

MOVED = datetime(2025, 7, 2, 2, 0, tzinfo=UTC)


def test_frames_from_before_cameras_were_moved_are_left_out(store, make_bay, make_capture):
    """Else floor marks would be kept, and lines drawn, where the camera does not look any more."""
    bay = make_bay()
    for capture in (make_capture(bay, MOVED - timedelta(minutes=10), 2), make_capture(bay, MOVED, 1)):
        store.save("capture", bay.bay_id, capture.batch_id, capture)
    first, second = (camera.name for camera in bay.cameras[:2])
    assert set(newest_frames(store, bay.bay_id, [first, second])) == {first, second}
    assert set(newest_frames(store, bay.bay_id, [first, second], MOVED)) == {first}


def test_files_of_a_folder_within_an_hour_of_the_newest(tmp_path):
    for moment in ("20250702010000", "20250702020000", "20250702030000"):
        (tmp_path / f"yard_C_4_{moment}.jpg").write_bytes(moment.encode())
    assert frames_in_folder(tmp_path, "yard", ["C_4", "D_4"]) == {"C_4": [b"20250702030000"]}
    within = frames_in_folder(tmp_path, "yard", ["C_4"], timedelta(hours=1))
    assert within == {"C_4": [b"20250702020000", b"20250702030000"]}
