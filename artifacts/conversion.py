"""A store of format 1 as a store of format 2."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from artifacts import format1
from artifacts.reference import Stage, artifact_path
from artifacts.schemas import SCHEMAS
from artifacts.store import ArtifactStore
from bay_observation.errors import ArtifactError, ConfigError
from bay_observation.files import read_regular_file


@dataclass(slots=True)
class Conversion:
    """How many artifacts of each stage were converted, and which were refused, each with the reason.

    `left` counts tracking artifacts: they are not converted, their slots are tracked again.
    """

    converted: Counter[Stage] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    left: int = 0


def convert(old: Path, new: Path, on_batch: Callable[[str], None] = lambda _: None) -> Conversion:
    """Write the artifacts of format 1 under `old` into a store at `new`; `old` is not changed.

    Args:
        old: root of a store of format 1.
        new: root of the new store. What it holds already stays, unless the same batch is converted.
        on_batch: called with each batch's path.

    Raises:
        ConfigError: `old` is no folder, or the two are the same.
        StoreUnavailableError: the new store fails.
    """
    if not old.is_dir():
        raise ConfigError(f"{old}: no folder; name the root of the old store")
    if new.resolve() == old.resolve():
        raise ConfigError(f"{new}: the old store itself; name another folder, and set DATA_PATH to it afterwards")
    store, result = ArtifactStore(new), Conversion()
    for stage in format1.VERSIONS:
        for path in _files(old, stage):
            on_batch(str(path))
            try:
                value = format1.read(str(path), stage, read_regular_file(path, SCHEMAS[stage].most_bytes))
                store.save(stage, path.parent.parent.name, path.parent.name, value)
            except (ArtifactError, OSError) as error:
                result.refused.append(str(error))
            else:
                result.converted[stage] += 1
    result.left = len(_files(old, "tracking"))
    return result


def _files(root: Path, stage: Stage) -> list[Path]:
    pattern = artifact_path(stage, "any", "any")
    return sorted((root / pattern.parts[0]).glob(f"*/*/{pattern.name}"))
