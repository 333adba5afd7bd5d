"""The keys of `image_provider_config`, for each provider that is built in.

They stand here and not beside the providers, so that a bay's file is checked by
`bay-observation bay validate` and wherever DAGs are parsed, without what asks cameras.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bays.zones import ZoneName

PROVIDER_GROUP = "bay_observation.image_providers"
"""Entry points by which an installed package makes its own image providers known, by name, to every process."""

_DAY_S = 86_400.0


@cache
def installed_providers() -> dict[str, EntryPoint]:
    """Image providers of other installed packages, by name; none is imported by that."""
    return {entry.name: entry for entry in entry_points(group=PROVIDER_GROUP)}


def _on_the_camera(target: str) -> str:
    if not target.startswith("/") or target.startswith("//") or urlsplit(target).fragment or not target.isprintable():
        raise ValueError(f"{target!r} is no path on the camera: write it as /snapshot.jpg?channel=1, without host")
    return target


LocalTarget = Annotated[str, AfterValidator(_on_the_camera)]
"""Path and query on a camera, beginning with one slash; never a host or a login."""

Seconds = Annotated[float, Field(strict=True, gt=0, le=120, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Tls(_Strict):
    """How cameras with `scheme: https` prove who they are.

    `ca_file` is a PEM file of the certificates that may sign them, which for self-signed
    ones is a file of their own certificates. `check_hostname: false` accepts a
    certificate of that file that does not name the camera's address, as few do.
    `verify: false` accepts any certificate, and is warned of in the log.
    """

    ca_file: Path | None = None
    check_hostname: bool = True
    verify: bool = True

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if not self.verify and self.ca_file is not None:
            raise ValueError("ca_file is of no use with verify: false; leave one of them out")
        return self


class LiveConfig(_Strict):
    """Of every provider that asks cameras over the network."""

    timeout: Seconds = 10.0
    max_per_second: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = None
    login_pause: Annotated[float, Field(strict=True, ge=0, le=_DAY_S)] = 1800.0
    frame_interval: Annotated[float, Field(strict=True, ge=0, le=_DAY_S)] = 1.0


class SnapshotConfig(LiveConfig):
    """Of providers that fetch snapshots over HTTP."""

    stale_after: Annotated[float, Field(strict=True, gt=0, le=_DAY_S)] = 120.0
    tls: Tls = Tls()


class HttpConfig(SnapshotConfig):
    """`http`: one plain address per camera; `{name}` and `{channel}` in `path` stand for the camera's own."""

    path: LocalTarget = "/snapshot.jpg"

    @model_validator(mode="after")
    def _template_is_known(self) -> Self:
        if set("{}") & set(self.path.replace("{name}", "").replace("{channel}", "")):
            raise ValueError(f"path: {self.path!r}: the placeholders are {{name}} and {{channel}}, the camera's own")
        return self


class OnvifConfig(SnapshotConfig):
    """`onvif`: the camera is asked for its snapshot's address, and again every `resolve_every` seconds."""

    resolve_every: Annotated[float, Field(strict=True, gt=0, le=30 * _DAY_S)] = _DAY_S


class RtspConfig(LiveConfig):
    """`rtsp`: the first whole key frame of the stream at `path`, or at the camera's own `rtsp.path`."""

    path: LocalTarget = "/"


class FileConfig(_Strict):
    """`file`: stored frames, in `{base_path}/{camera_name}/`.

    The moment in a file's name is `time_zone`'s. With `growing` another program still writes
    frames there: one that is missing, or not whole yet, is looked for again.
    """

    base_path: Path
    time_tolerance_hours: Annotated[float, Field(strict=True, ge=0)] = 1.0
    time_zone: ZoneName = "UTC"
    growing: bool = False

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.base_path == Path():
            raise ValueError("base_path: name the folder of the frames")
        return self


PROVIDER_CONFIGS: dict[str, type[BaseModel]] = {
    "onvif": OnvifConfig,
    "http": HttpConfig,
    "rtsp": RtspConfig,
    "file": FileConfig,
}


def check_provider_config(provider: str, config: dict[str, Any]) -> Any:
    """The provider's configuration, checked.

    Args:
        provider: a key of `PROVIDER_CONFIGS`.
        config: a bay's `image_provider_config`.

    Returns:
        An instance of the provider's model.

    Raises:
        ValueError: every wrong key and value, by name. Values are not repeated: one may be a misplaced login.
    """
    model = PROVIDER_CONFIGS[provider]
    if "credentials" in config:
        raise ValueError(
            "credentials: a login has no place in the bay's file; keep it in the Airflow Connection onvif_{bay_id}"
        )
    try:
        return model.model_validate(config)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_input=False):
            key = ".".join(map(str, fault["loc"]))
            if fault["type"] == "extra_forbidden":
                faults.append(f"{key}: provider {provider!r} has no such key; its keys are: {_keys(model)}")
            else:
                reason = fault["msg"].removeprefix("Value error, ")
                faults.append(f"{key}: {reason}" if key else reason)
        raise ValueError("; ".join(faults)) from None


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)
