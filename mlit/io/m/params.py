"""`<Param Name= Value= />` nodes and lists of M's XML files, read and set without touching anything else."""

import copy
from collections.abc import Iterable, Mapping, Sequence

import lxml.etree as etree

from mlit.errors import InputError
from mlit.io.numbers import format_number, parse_number
from mlit.io.warp.xml_document import XmlDocument

_MOST_ENTRIES = 200_000


def read_params(root: etree._Element, where: str) -> dict[str, str]:
    """Return the Params right below an element; the first of a name counts, as in M.

    Raises
    ------
    InputError
        If one has no name.
    """
    params: dict[str, str] = {}
    for node in root.iterfind("Param"):
        name = node.get("Name")
        if name is None:
            raise InputError(f"{where}: has a Param without a Name; restore the file")
        params.setdefault(name, node.get("Value") or "")
    return params


def read_entries(root: etree._Element, path: str, keys: Sequence[str], where: str) -> list[dict[str, str]]:
    """Return the attributes of every element at a path such as "Files/File".

    Raises
    ------
    InputError
        If one of `keys` is missing, or there are more entries than a project can have.
    """
    entries = []
    for number, node in enumerate(root.iterfind(path), start=1):
        lacking = next((key for key in keys if node.get(key) is None), None)
        if lacking is not None:
            raise InputError(f"{where}: {path} {number} has no {lacking}; restore the file")
        if number > _MOST_ENTRIES:
            raise InputError(f"{where}: has more than {_MOST_ENTRIES} {path}; is it the right file?")
        entries.append({str(key): str(value) for key, value in node.attrib.items()})
    return entries


def copied(document: XmlDocument) -> XmlDocument:
    """Return a document of its own, to be changed."""
    return XmlDocument(copy.deepcopy(document.tree), document.has_byte_order_mark, document.declaration)


def new_document(root_name: str) -> XmlDocument:
    """Return an empty document as M begins its files."""
    root = etree.Element(root_name)
    root.text = "\n"
    return XmlDocument(etree.ElementTree(root), has_byte_order_mark=True)


def changed_numbers(old: Mapping[str, str], wanted: Mapping[str, float]) -> dict[str, str]:
    """Return the Params whose number is another than a file has, so that the others keep their digits."""
    return {
        name: format_number(value)
        for name, value in wanted.items()
        if name not in old or parse_number(old[name], name) != value
    }


def set_params(root: etree._Element, values: Mapping[str, str]) -> None:
    """Set Params in place; those that are new follow the others, before the first other element."""
    nodes = {node.get("Name"): node for node in reversed(root.findall("Param"))}
    place = max((root.index(node) for node in nodes.values()), default=-1) + 1
    for name, value in values.items():
        if name not in nodes:
            nodes[name] = etree.Element("Param", Name=name)
            nodes[name].tail = "\n\t"
            root.text = root.text if (root.text or "").endswith("\t") else "\n\t"
            root.insert(place, nodes[name])
            place += 1
        if nodes[name].get("Value") != value:
            nodes[name].set("Value", value)


def set_entries(root: etree._Element, list_name: str, entry_name: str, entries: Iterable[Mapping[str, str]]) -> None:
    """Make a list hold these entries in place.

    An entry that has the same first attribute as a node that is there keeps the other attributes of that node.
    """
    parent = root.find(list_name)
    if parent is None:
        parent = etree.SubElement(root, list_name)
        parent.tail = "\n"
        if parent.getprevious() is None:
            root.text = "\n\t"
    wanted = [dict(entry) for entry in entries]
    key = next(iter(wanted[0])) if wanted else ""
    old = {node.get(key): node for node in parent.findall(entry_name)} if wanted else {}
    nodes = []
    for entry in wanted:
        node = old.get(entry[key])
        node = etree.Element(entry_name) if node is None else node
        for name, value in entry.items():
            if node.get(name) != value:
                node.set(name, value)
        nodes.append(node)
    if [id(node) for node in parent.findall(entry_name)] != [id(node) for node in nodes]:
        _replace_children(parent, entry_name, nodes)


def _replace_children(parent: etree._Element, entry_name: str, nodes: list[etree._Element]) -> None:
    for node in parent.findall(entry_name):
        parent.remove(node)
    parent.text = "\n\t\t" if nodes else parent.text
    for place, node in enumerate(nodes):
        node.tail = "\n\t\t"
        parent.insert(place, node)
    if len(parent):
        parent[-1].tail = "\n\t"
