"""Which certificates of cameras are accepted."""

import logging
import ssl

from bay_observation.errors import ConfigError
from bays.provider_configs import Tls

logger = logging.getLogger(__name__)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context of all connections to a bay's `https` cameras. Reads files: call it in a thread.

    Args:
        tls: the bay's configuration.

    Raises:
        ConfigError: `ca_file` cannot be read, or holds no certificate.
    """
    if not tls.verify:
        logger.warning(
            "image_provider_config.tls.verify is false: any device that answers at a camera's address is accepted"
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        where = f"image_provider_config.tls.ca_file: {tls.ca_file}"
        raise ConfigError(f"{where}: {reason}: a PEM file of certificates is needed") from error
    context.check_hostname = tls.check_hostname
    return context
