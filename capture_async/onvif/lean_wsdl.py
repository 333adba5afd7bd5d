"""ONVIF's WSDL files cut down to the operations that are used: parsing all of them costs a cold process 0.3 s.

The files are those that onvif-zeep brings. What stays is unchanged, with all that it
refers to: nothing of a message differs.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_XS = "{http://www.w3.org/2001/XMLSchema}"
_REFERENCES = ("type", "ref", "base", "element", "itemType", "memberTypes")


def lean_wsdl(folder: Path, services: Collection[str], operations: Collection[str], schema: str) -> dict[str, bytes]:
    """The files with everything left out that these operations do not need.

    Args:
        folder: of the files.
        services: WSDL files, as `media.wsdl`.
        operations: their names, in whichever file they stand.
        schema: the schema that those files share, as `onvif.xsd`.

    Returns:
        File contents by absolute path.

    Raises:
        OSError: a file is not there.
        lxml.etree.XMLSyntaxError: one is no XML.
    """
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(remove_comments=True)
    trees = {name: etree.fromstring((folder / name).read_bytes(), parser) for name in (*services, schema)}
    for name in services:
        _keep_operations(trees[name], operations)
    schemas = [found for tree in trees.values() for found in tree.iter(f"{_XS}schema")]
    needed = _needed(schemas, [part for name in services for part in trees[name].iter(f"{_WSDL}part")])
    for one in schemas:
        for element in list(one):
            if element.get("name") is not None and element.get("name") not in needed:
                one.remove(element)
    for name in (*services, schema):
        for documentation in list(trees[name].iter(f"{_WSDL}documentation", f"{_XS}annotation")):
            documentation.getparent().remove(documentation)
    for one in schemas:
        _drop_unused_imports(one)
    return {str(folder / name): etree.tostring(tree) for name, tree in trees.items()}


def _keep_operations(definitions: Any, operations: Collection[str]) -> None:
    for operation in list(definitions.iter(f"{_WSDL}operation")):
        if operation.get("name") not in operations:
            operation.getparent().remove(operation)
    used = {
        _local(end.get("message"))
        for end in definitions.iter(f"{_WSDL}input", f"{_WSDL}output", f"{_WSDL}fault")
        if end.get("message") is not None
    }
    for message in definitions.findall(f"{_WSDL}message"):
        if message.get("name") not in used:
            definitions.remove(message)


def _needed(schemas: list[Any], parts: list[Any]) -> set[str]:
    """Local names of all that the messages' parts refer to, and of all that those refer to, and so on.

    Names are taken without their namespaces: one too many may stay, none is missing.
    """
    named: dict[str, list[Any]] = {}
    for schema in schemas:
        for element in schema:
            if element.get("name") is not None:
                named.setdefault(element.get("name"), []).append(element)
    needed: set[str] = set()
    ahead = [name for part in parts for name in _references(part)]
    while ahead:
        name = ahead.pop()
        if name not in needed:
            needed.add(name)
            ahead += [
                found for element in named.get(name, ()) for below in element.iter() for found in _references(below)
            ]
    return needed


def _references(element: Any) -> Iterator[str]:
    for attribute in _REFERENCES:
        for name in (element.get(attribute) or "").split():
            yield _local(name)


def _drop_unused_imports(schema: Any) -> None:
    """An import is of use where a name that is left has a prefix of its namespace."""
    prefixes = {
        name.partition(":")[0]
        for element in schema.iter()
        for attribute in _REFERENCES
        for name in (element.get(attribute) or "").split()
    }
    namespaces = {schema.nsmap.get(prefix) for prefix in prefixes}
    for found in schema.findall(f"{_XS}import"):
        if found.get("namespace") not in namespaces:
            schema.remove(found)


def _local(name: str) -> str:
    return name.rpartition(":")[2]
