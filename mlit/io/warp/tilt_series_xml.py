"""Warp's tilt-series XML: alignment, CTF and deformation of one series.

Everything that mlit does not set survives reading and writing: unknown elements, attributes, name spaces,
comments and the byte-order mark. Setters return a changed copy and leave alone what would not change.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lxml.etree as etree
import numpy as np

from mlit.errors import InputError
from mlit.io.file_names import checked_path
from mlit.io.numbers import format_number, parse_bool, parse_number, parse_numbers
from mlit.io.warp.xml_document import XmlDocument, read_xml, write_xml
from mlit.io.warp.xml_grids import fill_grid, grid_values

_KIND = "tilt-series XML"
_LARGEST_SIZE_ANGSTROM = 1e8


@dataclass(frozen=True)
class TiltSeriesXml:
    """One tilt-series XML file.

    Tilts are in file order. Units are those of the file: degrees, Å, µm, e/Å². Getters parse on every call
    and raise `InputError` that names the file and the element.

    Attributes
    ----------
    path : Path
        Where it was read from, or the name it will be written under.
    document : XmlDocument
        The content; never changed in place.
    """

    path: Path
    document: XmlDocument = field(repr=False)

    @classmethod
    def read(cls, path: Path | str) -> TiltSeriesXml:
        """Read a file; raises `InputError` if it is absent, damaged or no tilt-series XML."""
        return cls(Path(path), read_xml(Path(path), "TiltSeries", _KIND))

    @classmethod
    def new(
        cls,
        name: str,
        lists: Mapping[str, Sequence[object] | np.ndarray],
        attributes: Mapping[str, object] | None = None,
        ctf: Mapping[str, object] | None = None,
    ) -> TiltSeriesXml:
        """Make a file from nothing, as a simulation or an import does.

        Parameters
        ----------
        name : str
            Name of the series.
        lists : mapping
            At least Angles, Dose, AxisAngle and MoviePath, one value a tilt.
        attributes, ctf : mapping, optional
            As in `with_attributes` and `with_ctf`; they override Warp's neutral values.
        """
        root = etree.Element("TiltSeries")
        root.text = root.tail = "\n"
        empty = cls(Path(f"{name}.xml"), XmlDocument(etree.ElementTree(root)))
        return empty.with_attributes(_NEUTRAL | dict(attributes or {})).with_lists(lists).with_ctf(ctf or {})

    def write(self, path: Path | str) -> None:
        """Write the file, complete or not at all."""
        write_xml(path, self.document)

    @property
    def name(self) -> str:
        """Name of the series: the file name without `.xml`."""
        return self.path.name.removesuffix(".xml")

    # ---- lists with one value a tilt

    @property
    def tilts(self) -> int:
        """Number of tilts."""
        return len(self._lines("Angles"))

    @property
    def angle_deg(self) -> np.ndarray:
        """Tilt angles, float64 "tilt"."""
        return self._number_list("Angles")

    @property
    def dose(self) -> np.ndarray:
        """Accumulated exposure in e/Å², float64 "tilt"."""
        dose = self._number_list("Dose")
        if (dose < 0).any():
            tilt = int(np.flatnonzero(dose < 0)[0])
            raise InputError(f"{self.path}: Dose of tilt {tilt + 1} is {dose[tilt]:g}; it cannot be negative")
        return dose

    @property
    def axis_angle_deg(self) -> np.ndarray:
        """Direction of the tilt axis, float64 "tilt"."""
        return self._number_list("AxisAngle")

    @property
    def axis_offset_angstrom(self) -> np.ndarray:
        """Image shift x, y, float64 "tilt 2"; zeros where the file has none."""
        columns = [
            self._number_list(name) if self._child(name) is not None else np.zeros(self.tilts)
            for name in ("AxisOffsetX", "AxisOffsetY")
        ]
        return np.stack(columns, axis=1)

    @property
    def use_tilt(self) -> np.ndarray:
        """Which tilts count, bool "tilt"; all where the file does not say."""
        if self._child("UseTilt") is None:
            return np.ones(self.tilts, dtype=bool)
        where = f"{self.path}: UseTilt of tilt"
        texts = enumerate(self._tilt_list("UseTilt"), start=1)
        return np.array([parse_bool(text, f"{where} {tilt}") for tilt, text in texts])

    @property
    def movie_paths(self) -> tuple[str, ...]:
        """Tilt movies, relative to the data folder, with forward slashes."""
        where = f"{self.path}: MoviePath of tilt"
        return tuple(checked_path(text, f"{where} {t}") for t, text in enumerate(self._tilt_list("MoviePath"), start=1))

    # ---- attributes of the root

    @property
    def are_angles_inverted(self) -> bool:
        """Whether depth counts with the other sign in the defocus."""
        text = self.document.root.get("AreAnglesInverted", "False")
        return parse_bool(text, f"{self.path}: AreAnglesInverted")

    @property
    def level_angle_deg(self) -> tuple[float, float]:
        """Pre-tilt of the sample about x and y."""
        return (self.attribute_number("LevelAngleX", 0.0), self.attribute_number("LevelAngleY", 0.0))

    @property
    def magnification(self) -> np.ndarray:
        """Magnification matrix, float64 "2 2"; the text lists it column by column."""
        text = self.document.root.get("MagnificationCorrection", "1, 0, 0, 1")
        return np.array(parse_numbers(text, 4, f"{self.path}: MagnificationCorrection")).reshape(2, 2).T

    @property
    def image_size_angstrom(self) -> tuple[float, float] | None:
        """Unbinned image size x, y; None in older files."""
        size = self._size("ImageDimensionsAngstrom", 2)
        return None if size is None else (size[0], size[1])

    @property
    def volume_size_angstrom(self) -> tuple[float, float, float] | None:
        """Volume size x, y, z; None in older files."""
        size = self._size("VolumeDimensionsAngstrom", 3)
        return None if size is None else (size[0], size[1], size[2])

    @property
    def data_directory(self) -> str:
        """Folder of the `.tomostar`, as written; often a path of another computer."""
        return checked_path(self.document.root.get("DataDirectory", ""), f"{self.path}: DataDirectory")

    @property
    def is_deselected(self) -> bool:
        """Whether a person took the series out (UnselectManual); "" and "null" mean no decision."""
        return self.document.root.get("UnselectManual", "").strip().lower() == "true"

    def attribute_number(self, name: str, default: float) -> float:
        """Return a numeric attribute of the root, or the default where it is absent."""
        text = self.document.root.get(name)
        return default if text is None else parse_number(text, f"{self.path}: {name}")

    # ---- CTF and grids

    def ctf_number(self, name: str, default: float) -> float:
        """Return a Param of `<CTF>`, or the default where it is absent."""
        param = self._ctf_param(name)
        return default if param is None else parse_number(param.get("Value"), f"{self.path}: CTF/{name}")

    def ctf_coefficients(self, name: str, count: int) -> np.ndarray:
        """Return a Param of `<CTF>` that is a list such as "0.1;0;-2", float64 "count".

        Coefficients that the list does not reach are 0, and all of them where it is empty or absent.

        Raises
        ------
        InputError
            If a coefficient is no number, or one beyond `count` is not 0.
        """
        param = self._ctf_param(name)
        text = "" if param is None else param.get("Value", "").strip()
        texts = enumerate(text.split(";") if text else [], start=1)
        values = [parse_number(text, f"{self.path}: CTF/{name}, coefficient {number}") for number, text in texts]
        if any(values[count:]):
            raise InputError(
                f"{self.path}: CTF/{name} has coefficients beyond the {count} that are known; set them to 0"
            )
        return np.array([*values[:count], *[0.0] * (count - len(values))])

    def grid(self, name: str, default: float = 0.0) -> np.ndarray:
        """Return a 3D grid, float64 [t, y, x]; a missing one is a single node with the default."""
        return self._grid(name, 3, default)

    def volume_grid(self, name: str) -> np.ndarray:
        """Return a 4D grid, float64 [w, z, y, x]; a missing one is a single zero."""
        return self._grid(name, 4, 0.0)

    def has_grid(self, name: str) -> bool:
        """Whether the file holds the grid."""
        return self._child(name) is not None

    # ---- setters

    def with_attributes(self, attributes: Mapping[str, object]) -> TiltSeriesXml:
        """Return a copy with attributes of the root set.

        Values are text, bool, a number, or numbers that are joined with ", ".
        """
        changed = self._copy()
        for name, value in attributes.items():
            changed.document.root.set(name, _attribute_text(value))
        return changed

    def with_lists(self, lists: Mapping[str, Sequence[object] | np.ndarray]) -> TiltSeriesXml:
        """Return a copy with per-tilt lists set: numbers, bool, or text."""
        changed = self._copy()
        for name, values in lists.items():
            texts = [_attribute_text(value) for value in values]
            if changed._child(name) is None or changed._lines(name) != texts:
                changed._child_to_set(name).text = "\n".join(texts)
        return changed

    def with_ctf(self, params: Mapping[str, object]) -> TiltSeriesXml:
        """Return a copy with Params of `<CTF>` set; the others stay."""
        changed = self._copy()
        parent = changed._child_to_set("CTF")
        known = {param.get("Name"): param for param in parent.iterfind("Param")}
        for name, value in params.items():
            if name not in known:
                known[name] = _append(parent, "Param", depth=2)
                known[name].set("Name", name)
            known[name].set("Value", _attribute_text(value))
        return changed

    def with_grids(self, grids: Mapping[str, np.ndarray]) -> TiltSeriesXml:
        """Return a copy with grids set.

        Parameters
        ----------
        grids : mapping of str to ndarray
            [t, y, x] or, for the volume warp, [w, z, y, x]. A grid that has these values already stays as
            it is written.

        Raises
        ------
        ValueError
            If a value is not finite or an array has neither 3 nor 4 axes.
        """
        changed = self._copy()
        for name, values in grids.items():
            array = np.asarray(values, dtype=np.float64)
            if array.ndim not in (3, 4) or array.size == 0 or not np.isfinite(array).all():
                raise ValueError(f"{name}: a grid is a finite array with 3 or 4 axes, not {array.shape}")
            if self.has_grid(name) and np.array_equal(self._grid(name, array.ndim, 0.0), array):
                continue
            fill_grid(changed._child_to_set(name), array)
        return changed

    # ---- the rest

    def _ctf_param(self, name: str) -> etree._Element | None:
        params = self.document.root.iterfind("CTF/Param")
        return next((param for param in params if param.get("Name") == name), None)

    def _copy(self) -> TiltSeriesXml:
        old = self.document
        tree = copy.deepcopy(old.tree)
        return TiltSeriesXml(self.path, XmlDocument(tree, old.has_byte_order_mark, old.declaration))

    def _child(self, name: str) -> etree._Element | None:
        found = self.document.root.findall(name)
        if len(found) > 1:
            raise InputError(f"{self.path}: element {name} is there {len(found)} times; remove all but one")
        return found[0] if found else None

    def _child_to_set(self, name: str) -> etree._Element:
        child = self._child(name)
        return _append(self.document.root, name, depth=1) if child is None else child

    def _lines(self, name: str) -> list[str]:
        child = self._child(name)
        if child is None:
            raise InputError(f"{self.path}: has no {name}; align the series in Warp or restore the file")
        text = (child.text or "").strip()
        if not text:
            raise InputError(f"{self.path}: {name} is empty; restore the file")
        return [line.strip() for line in text.split("\n")]

    def _tilt_list(self, name: str) -> list[str]:
        lines = self._lines(name)
        if len(lines) != self.tilts:
            raise InputError(
                f"{self.path}: {name} has {len(lines)} values but Angles has {self.tilts}; restore the file"
            )
        return lines

    def _number_list(self, name: str) -> np.ndarray:
        texts = enumerate(self._tilt_list(name), start=1)
        return np.array([parse_number(text, f"{self.path}: {name} of tilt {tilt}") for tilt, text in texts])

    def _size(self, name: str, count: int) -> tuple[float, ...] | None:
        text = self.document.root.get(name)
        if text is None or not text.strip():
            return None
        size = parse_numbers(text, count, f"{self.path}: {name}")
        if all(length == 0 for length in size):
            return None
        if min(size) <= 0 or max(size) > _LARGEST_SIZE_ANGSTROM:
            raise InputError(
                f"{self.path}: {name} is '{text}'; sizes must be above zero and below {_LARGEST_SIZE_ANGSTROM:g} Å"
            )
        return size

    def _grid(self, name: str, dimensions: int, default: float) -> np.ndarray:
        child = self._child(name)
        if child is None:
            return np.full((1,) * dimensions, default)
        return grid_values(child, dimensions, f"{self.path}: {name}")


_NEUTRAL: dict[str, object] = {
    "DataDirectory": "tomostar",
    "AreAnglesInverted": False,
    "PlaneNormal": (0, 0, 0),
    "LevelAngleX": 0,
    "LevelAngleY": 0,
    "Bfactor": 0,
    "Weight": 1,
    "MagnificationCorrection": (1, 0, 0, 1),
    "UnselectFilter": False,
    "UnselectManual": "",
    "CTFResolutionEstimate": 0,
}


def _attribute_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    array = np.asarray(value, dtype=np.float64)
    return ", ".join(format_number(number) for number in array.reshape(-1))


def _append(parent: etree._Element, name: str, depth: int) -> etree._Element:
    """Add a last child, indented with tabs as Warp does."""
    if len(parent):
        parent[-1].tail = "\n" + "\t" * depth
    else:
        parent.text = "\n" + "\t" * depth
    child = etree.SubElement(parent, name)
    child.tail = "\n" + "\t" * (depth - 1)
    return child
