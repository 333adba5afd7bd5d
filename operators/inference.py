"""run_inference: frames to an Observation, on the observer."""

from typing import Any

from artifacts import ArtifactReference, ArtifactStore
from bays import BayConfig
from operators._stage import StageOperator


class InferenceOperator(StageOperator):
    """Detects, segments and classifies what is in the batch's frames."""

    takes = "capture"

    def process(self, reference: ArtifactReference, bay: BayConfig, store: ArtifactStore) -> dict[str, Any]:
        """Frames in, Observation out."""
        # torch and the models' code: only here, on the host that runs them.
        from inference.service import InferenceService

        batch = store.load(reference)
        observation = InferenceService.for_bay(bay).observe(batch)
        published = store.save("observation", bay.bay_id, reference.batch_id, observation)
        objects = sum(len(camera.objects) for camera in observation.cameras)
        self.log.info("%s: %d objects in %d frames", published.path, objects, len(observation.cameras))
        return {**published.to_dict(), "processed_count": len(observation.cameras), "object_count": objects}
