"""Artifacts that the dashboard shows, read once while they stay the same."""

from functools import lru_cache
from typing import Any

from artifacts import ArtifactReference, ArtifactStore, Stage


def loaded(store: ArtifactStore, stage: Stage, bay_id: str, batch_id: str) -> Any:
    """What a stage published for a batch; None where it published nothing, or it is not kept any more.

    Raises:
        ArtifactError: it is damaged, or the store fails.
    """
    reference = store.find(stage, bay_id, batch_id)
    return None if reference is None else _read(store.location, reference)


@lru_cache(maxsize=64)
def _read(_location: str, reference: ArtifactReference) -> Any:
    return ArtifactStore().load(reference)
