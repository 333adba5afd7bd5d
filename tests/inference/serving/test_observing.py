"""A batch from capture artifact to Observation artifact, with models of random weights."""

from datetime import UTC, datetime

import pytest

from bay_observation.errors import ArtifactError, InferenceError
from inference.serving import observe_capture
from inference.serving.observing import StoredBatches

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.fixture
def bay(make_bay, checkpoints):
    return make_bay(models=checkpoints.model_dump(mode="json"), conditions={"min_brightness": 20})


@pytest.fixture
def capture(bay, store, make_capture):
    batch = make_capture(bay, SLOT, count=3, grey=(128, 5, 128))
    return store.save("capture", bay.bay_id, batch.batch_id, batch)


@pytest.mark.slow(1)
def test_the_observation_is_published_and_counted(bay, store, capture):
    observed = observe_capture(capture, bay, store, device="cpu")
    observation = store.load(observed.reference)
    assert observed.frames == len(observation.cameras) == 2
    assert observed.objects == sum(len(camera.objects) for camera in observation.cameras)
    assert observed.failures == observation.failures
    dark = bay.cameras[1].name
    assert "dark" in observed.failures[dark]  # the bay's own conditions say what is dark
    assert observed.failures[bay.cameras[3].name] == "timed out"
    assert observed.seconds > 0


@pytest.mark.slow(0.8)
def test_a_server_and_a_task_publish_the_same(bay, store, capture):
    by_task = observe_capture(capture, bay, store, device="cpu")
    work = StoredBatches("cpu")
    loads = work.loads()
    by_server = work.observe(capture, lambda: None)
    assert work.loads() == loads  # the bay's models are there already
    assert by_server.reference == by_task.reference
    assert work.is_published(by_server)
    (store.root / by_server.reference.path).unlink()
    assert not work.is_published(by_server)


def test_an_abandoned_batch_publishes_nothing(bay, store, capture):
    calls = []

    def check_abandoned() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise InferenceError("the server stops")

    with pytest.raises(InferenceError, match="the server stops"):
        observe_capture(capture, bay, store, device="cpu", check_abandoned=check_abandoned)
    assert store.find("observation", bay.bay_id, capture.batch_id) is None


def test_a_capture_that_is_not_there_is_named(bay, store, capture):
    (store.root / capture.path).unlink()
    with pytest.raises(ArtifactError, match=r"capture\.pkl: no such artifact"):
        observe_capture(capture, bay, store, device="cpu")
