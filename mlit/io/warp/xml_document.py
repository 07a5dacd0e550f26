"""Warp's XML files: safe reading, and writing that keeps what is not touched."""

import re
from dataclasses import dataclass
from pathlib import Path

import lxml.etree as etree

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.io.reading import read_bytes

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DECLARATION = re.compile(rb"^\s*(<\?xml[^>]{0,200}\?>)")
_MOST_TAGS = 1_500_000  # opening and closing ones; the finest grids of M take a tenth
_MOST_ATTRIBUTES = 4_000_000


@dataclass(frozen=True)
class XmlDocument:
    """A parsed XML file with what is needed to write it back as it was.

    Attributes
    ----------
    tree : lxml ElementTree
        Treated as immutable: a changed document is made from a deep copy.
    has_byte_order_mark : bool
        Native Warp writes a UTF-8 byte-order mark, others do not.
    declaration : str
        The first line, `<?xml … ?>`; empty if there was none.
    """

    tree: etree._ElementTree
    has_byte_order_mark: bool = False
    declaration: str = '<?xml version="1.0" encoding="utf-8"?>'

    @property
    def root(self) -> etree._Element:
        """Return the outermost element."""
        return self.tree.getroot()


def read_xml(path: Path, root_name: str, kind: str) -> XmlDocument:
    """Read an XML file without ever resolving entities or opening the network.

    Sizes are bounded before parsing, and the depth by the parser, so that a hostile file costs neither time nor
    memory.

    Parameters
    ----------
    path : Path
        File to read.
    root_name : str
        Name that the outermost element must have.
    kind : str
        What the file is for a person, such as "settings file".

    Raises
    ------
    InputError
        If the file is absent, too large, damaged, declares entities or a document type, or has another root.
    """
    content = read_bytes(path, kind)
    if content.count(b"<") > _MOST_TAGS or content.count(b"=") > _MOST_ATTRIBUTES:
        raise InputError(f"{path}: {kind} holds more elements than one can have; is it the right file?")
    alien = InputError(f"{path}: {kind} declares a document type or entities; remove the declaration")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise alien
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_blank_text=False
    )
    try:
        tree = etree.ElementTree(etree.fromstring(content, parser))
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: {kind} is damaged ({reason}); restore or regenerate it") from error
    if tree.docinfo.internalDTD is not None:
        raise alien
    found = str(tree.getroot().tag)
    if found != root_name:
        raise InputError(f"{path}: is no {kind} (its root is <{found[:80]}>, <{root_name}> is expected)")
    return XmlDocument(tree, content.startswith(_BYTE_ORDER_MARK), _declaration(content))


def write_xml(path: Path | str, document: XmlDocument) -> None:
    """Write the document as UTF-8, complete or not at all.

    Raises
    ------
    InputError
        If the place cannot be written to.
    """
    body = etree.tostring(document.tree, encoding="utf-8", xml_declaration=False)
    head = document.declaration.encode("utf-8")
    prefix = _BYTE_ORDER_MARK if document.has_byte_order_mark else b""
    with atomic_write(path) as partial:
        partial.write_bytes(prefix + (head + b"\n" if head else b"") + body)


def _declaration(content: bytes) -> str:
    """Return the declaration as written if the file is UTF-8, else one that says UTF-8."""
    match = _DECLARATION.match(content.removeprefix(_BYTE_ORDER_MARK))
    if match is None:
        return "" if content.lstrip().startswith(b"<") else XmlDocument.declaration
    text = match.group(1).decode("ascii", errors="replace")
    encoding = re.search(r"encoding\s*=\s*[\"']([^\"']+)", text)
    is_utf8 = encoding is None or encoding.group(1).lower() in ("utf-8", "us-ascii", "ascii")
    return text if is_utf8 else XmlDocument.declaration
