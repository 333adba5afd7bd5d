from artifacts import ArtifactStore
from tracking import Tracker, TrackStatus


def test_a_result_travels_through_the_store(bay, fused, block, tmp_path):
    first = Tracker(bay).update(fused(0, [block("A25", 10, 10), block("A13", 51, 10, stage=None, work={"welder": 2})]))
    store = ArtifactStore(tmp_path)
    reference = store.save("tracking", "demo_bay", first.batch_id, first)
    loaded = store.load(reference)
    assert [(t.track_id, t.status, t.stage, dict(t.work), t.standing_since) for t in loaded.tracks] == [
        (t.track_id, t.status, t.stage, dict(t.work), t.standing_since) for t in first.tracks
    ]
    assert loaded.events == first.events
    again = Tracker(bay, loaded.state).update(fused(1, [block("A25", 10, 10)]))
    assert [track.status for track in again.tracks] == [TrackStatus.PRESENT, TrackStatus.MISSED]
    store.save("tracking", "demo_bay", again.batch_id, again)


def test_a_result_is_shown_in_one_line(bay, fused, block):
    floor = fused(0, [block("A25", 10, 10)])
    result = Tracker(bay).update(floor)
    assert repr(floor) == "<FusionResult demo_bay_20250702-000000, 1 blocks, 0 cameras>"
    assert repr(result) == "<TrackingResult demo_bay_20250702-000000, 1 tracks, 1 events>"
    assert repr(result.state) == "<TrackerState of demo_bay after 2025-07-02 00:00, 1 tracks>"


def test_the_same_result_is_the_same_file(bay, fused, block, tmp_path):
    def tracked():
        return Tracker(bay).update(fused(0, [block("A25", 10, 10), block("A13", 51, 10)]))

    store = ArtifactStore(tmp_path)
    references = {store.save("tracking", "demo_bay", one.batch_id, one).sha256 for one in (tracked(), tracked())}
    assert len(references) == 1
