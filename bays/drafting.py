"""A new bay's file from another bay's: its own network, not enabled, and the hall that a survey gives.

Without a survey everything else is as it was, to be looked through.
"""

import json
import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from bay_observation.errors import ConfigError
from bay_observation.files import write_atomically
from bays.editing import read_text
from bays.loading import bay_file, bay_ids, load_bay, parse_bay
from bays.models import BayConfig
from bays.survey import Survey, SurveyFiles, SurveyText, read_survey, with_survey

# The comment before the first key is about the bay that the file was written for.
_HEAD = re.compile(r"\A(?:[ \t]*(?:#[^\n]*)?\n)*")
_READ = "How each key is read: docs/add_a_bay.md; check with `bay-observation bay validate`."
_ENABLED = re.compile(r"^enabled:\s*(?!false\b)\w+", re.MULTILINE | re.IGNORECASE)
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")


def draft_bay(
    bay_id: str,
    source: str,
    subnet: IPv4Network | None,
    description: str | None,
    measured: SurveyFiles | SurveyText | None = None,
    *,
    again: bool = False,
) -> Path:
    """Write the file of a new bay; its path.

    Args:
        bay_id: of the new bay.
        source: id of the bay to begin from.
        subnet: network of its cameras; the next one that no bay has, of the same size, when None.
        description: of the new bay; its id when None.
        measured: the survey of its hall; when None it has the hall, the cameras and the marks of the source.
        again: write over the file that is there, of a bay that is not enabled.

    Raises:
        ConfigError: there is such a file already (with `again`: of a bay that is enabled), no such source, or the
            network is too small or another bay's; or a row of the survey is wrong.
    """
    path = bay_file(bay_id)
    if path.exists() and not again:
        raise ConfigError(f"{path}: is there already: choose another id, edit it, or write over it with --again")
    if source == bay_id:
        raise ConfigError(f"--from {source}: is the bay itself: name another one")
    if path.exists() and _ENABLED.search(read_text(path)):
        raise ConfigError(f"{path}: is enabled, and --again loses what was calibrated: edit it, or set enabled: false")
    before = load_bay(source)
    survey: Survey | None = None
    if measured is None:
        chosen = subnet or free_network(source, bay_id)
    else:
        survey = read_survey(measured, lambda host: subnet or _network_of(host, source, bay_id), before.network)
        chosen = survey.network
    _refuse_taken(bay_id, chosen, measured, None if survey is None or subnet is not None else survey.host_line)
    text = read_text(bay_file(source))
    if survey is not None:
        text = with_survey(text, survey, _quorum(before, len(survey.cameras)))
    text = _moved(text, before.network.camera_subnet, chosen)
    named = json.dumps(description or bay_id, ensure_ascii=False)
    text = _HEAD.sub(f"# {bay_id}, like {source} at first. {_READ}\n", text, count=1)
    text = re.sub(r"^description:.*$", lambda _: f"description: {named}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^enabled:\s*\w+", "enabled: false", text, count=1, flags=re.MULTILINE)
    parse_bay(path, text, bay_id)
    write_atomically(path, text.encode())
    return path


def free_network(source: str, new: str) -> IPv4Network:
    """The next network after a bay's that no bay but the new one has, of the same size."""
    taken = [load_bay(name).network.camera_subnet for name in bay_ids() if name != new]
    network = load_bay(source).network.camera_subnet
    while True:
        network = IPv4Network((int(network.network_address) + network.num_addresses, network.prefixlen))
        if not any(network.overlaps(one) for one in taken):
            return network


def _network_of(host: IPv4Address | None, source: str, new: str) -> IPv4Network:
    """The network of the survey's hosts, of the size that the source's has; a free one where it names none."""
    if host is None:
        return free_network(source, new)
    return IPv4Network((int(host), load_bay(source).network.camera_subnet.prefixlen), strict=False)


def _quorum(source: BayConfig, cameras: int) -> int | None:
    """The like share of other cameras, at least one; None where the source says nothing of it."""
    if not source.cameras or "camera_quorum" not in source.model_fields_set:
        return None
    return max(1, -(-cameras * source.camera_quorum // len(source.cameras)))


def _moved(text: str, old: IPv4Network, new: IPv4Network) -> str:
    """Every address of the old network as the like address of the new one."""
    if new.num_addresses < old.num_addresses:
        raise ConfigError(f"{new} is smaller than {old}: its addresses do not fit; give --subnet with /{old.prefixlen}")

    def like(match: re.Match[str]) -> str:
        try:
            address = IPv4Address(match[0])
        except ValueError:
            return match[0]
        return str(new[int(address) - int(old.network_address)]) if address in old else match[0]

    return _ADDRESS.sub(like, text.replace(str(old), str(new)))


def _refuse_taken(
    bay_id: str, network: IPv4Network, measured: SurveyFiles | SurveyText | None, line: str | None
) -> None:
    """A network of another bay; `line` is where the survey names its first host."""
    remedy = "give another --subnet"
    if isinstance(measured, SurveyText):
        remedy += f" and hosts of it in {measured.path}, or leave host= out for free ones"
    elif measured is not None and measured.cameras is not None:
        remedy += f" and hosts of it in {measured.cameras}, or leave the column host out"
    where = "" if line is None else f"{line}: host: "
    for name in (one for one in bay_ids() if one != bay_id):
        other = load_bay(name).network.camera_subnet
        if network.overlaps(other):
            raise ConfigError(f"{where}{network} overlaps {other} of bay {name}: {remedy}")
