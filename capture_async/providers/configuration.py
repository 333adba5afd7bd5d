"""A provider's configuration, checked by the model that also checks the bay's file."""

from typing import Any, TypeVar

from pydantic import BaseModel

from bay_observation.errors import ConfigError
from bays.provider_configs import check_provider_config

_Config = TypeVar("_Config", bound=BaseModel)


def configured(provider: str, model: type[_Config], **config: Any) -> _Config:
    """The configuration of a built-in provider.

    Raises:
        ConfigError: a key or a value is wrong; every one is named.
    """
    try:
        checked = check_provider_config(provider, config)
    except ValueError as error:
        raise ConfigError(f"image_provider_config: {error}") from error
    if not isinstance(checked, model):
        raise TypeError(f"provider {provider!r} is checked by {type(checked).__name__}, not by {model.__name__}")
    return checked
