"""process_fusion: what all cameras saw becomes one picture of the floor, on the processor."""

from typing import Any

from artifacts import ArtifactReference, ArtifactStore
from bays import BayConfig
from operators._stage import StageOperator


class FusionOperator(StageOperator):
    """Fuses the batch's Observation; waits for it while the shared storage has not shown it yet.

    Its arguments are those of `StageOperator`.
    """

    takes = "observation"

    def process(self, reference: ArtifactReference, bay: BayConfig, store: ArtifactStore) -> dict[str, Any]:
        """Observation in, blocks on the floor out."""
        # scipy and shapely: not while Airflow parses DAGs.
        from fusion import fuse

        result = fuse(store.load(reference), bay)
        published = store.save("fusion", bay.bay_id, reference.batch_id, result)
        self.log.info("%s: %d blocks, %.0f m2 unseen", published.path, len(result.blocks), result.unseen.area)
        if result.out_of_pose:
            self.log.warning(
                "%s: %s out of pose, fused without: run `bay-observation camera check-poses %s`, then calibrate",
                published.path,
                ", ".join(result.out_of_pose),
                bay.bay_id,
            )
        return {
            **published.to_dict(),
            "block_count": len(result.blocks),
            "out_of_pose": list(result.out_of_pose),
        }
