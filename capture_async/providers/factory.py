"""From a bay's `image_provider` and `image_provider_config` to the provider."""

import inspect
from importlib import import_module
from typing import Any, ClassVar

from bay_observation.errors import ConfigError
from bays import BayConfig, models, onvif_connection_id
from bays.provider_configs import installed_providers
from capture_async.credentials import Credentials
from capture_async.providers.provider import ImageProvider


def provider_for(bay: BayConfig, credentials: Credentials | None) -> ImageProvider:
    """The bay's provider, as its file configures it. Every part of the product makes a bay's provider here.

    Args:
        bay: its `image_provider` and `image_provider_config`.
        credentials: login of its cameras; passed to providers that need one.

    Raises:
        ConfigError: the configuration does not fit the provider, or holds a login.
    """
    config = dict(bay.image_provider_config)
    if "credentials" in config:
        raise ConfigError(
            f"bay {bay.bay_id}: image_provider_config.credentials: a login has no place in the bay's file; "
            f"keep it in the Airflow Connection {onvif_connection_id(bay.bay_id)}"
        )
    if ImageProviderFactory.provider_class(bay.image_provider).needs_credentials:
        config["credentials"] = credentials
    try:
        return ImageProviderFactory.create(bay.image_provider, **config)
    except ConfigError as error:
        raise ConfigError(f"bay {bay.bay_id}: {error}") from error


class ImageProviderFactory:
    """Makes providers by name: the built-in ones, and those of installed packages.

    A package names its own in its entry points (group `bay_observation.image_providers`), so that every process
    knows them. `register` adds one to the running process alone, as a test wants it.
    """

    # The built-in ones by where they stand, so that a file backtest loads no ONVIF library.
    _providers: ClassVar[dict[str, type[ImageProvider] | str]] = {
        "onvif": "capture_async.providers.onvif:OnvifImageProvider",
        "http": "capture_async.providers.http:HttpImageProvider",
        "rtsp": "capture_async.providers.rtsp:RtspImageProvider",
        "file": "capture_async.providers.file:FileImageProvider",
    }

    @classmethod
    def provider_class(cls, name: str) -> type[ImageProvider]:
        """The class behind a name.

        Raises:
            ConfigError: no provider has that name.
        """
        found = cls._providers.get(name)
        if found is None and name in installed_providers():
            found = cls._providers[name] = _installed(name)
        if found is None:
            known = ", ".join(sorted({*cls._providers, *installed_providers()}))
            raise ConfigError(f"image_provider: there is no provider {name!r}; known are {known}")
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = cls._providers[name] = _checked(getattr(import_module(module), attribute))
        return found

    @classmethod
    def create(cls, name: str, **config: Any) -> ImageProvider:
        """A provider with that configuration.

        Args:
            name: as in a bay's `image_provider`.
            config: the bay's `image_provider_config`, and `credentials` where the
                class `needs_credentials`.

        Raises:
            ConfigError: the name, a key or a value of the configuration is wrong.
        """
        provider = cls.provider_class(name)
        signature = inspect.signature(provider)
        try:
            signature.bind(**config)
        except TypeError as error:
            keys = ", ".join(key for key in signature.parameters if key != "credentials") or "none"
            raise ConfigError(f"image_provider_config of provider {name!r}: {error}; its keys are: {keys}") from error
        return provider(**config)

    @classmethod
    def register(cls, name: str, provider: type[ImageProvider]) -> None:
        """Make `provider` known to bays as `image_provider: name`.

        Raises:
            TypeError: `provider` is no class derived from `ImageProvider`.
            ConfigError: the name is another provider's already.
        """
        _checked(provider)
        taken = cls._providers.get(name)
        if taken is not None and taken is not provider:
            raise ConfigError(f"image provider {name!r} is there already; register {provider.__name__} by another name")
        cls._providers[name] = provider
        models.known_providers.add(name)


def _installed(name: str) -> type[ImageProvider]:
    """The class that an installed package's entry point names.

    Raises:
        ConfigError: it cannot be imported, or is no provider.
    """
    entry = installed_providers()[name]
    try:
        return _checked(entry.load())
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"image provider {name!r} of entry point {entry.value}: {error}") from error


def _checked(provider: object) -> type[ImageProvider]:
    if not (isinstance(provider, type) and issubclass(provider, ImageProvider)):
        raise TypeError(f"{provider!r} is no class derived from capture_async.ImageProvider")
    return provider
