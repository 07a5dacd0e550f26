"""WarpTools `.settings`: where a project keeps its data and how large its pixels are."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import lxml.etree as etree

from mlit.errors import InputError
from mlit.io.file_names import checked_path
from mlit.io.numbers import format_number, parse_number, parse_positive
from mlit.io.warp.xml_document import XmlDocument, read_xml, write_xml

_LARGEST_BIN_TIMES = 10.0
_LARGEST_PIXEL_ANGSTROM = 1e4
_LARGEST_DIMENSION_PX = 1e6


@dataclass(frozen=True)
class WarpSettings:
    """The part of a tilt-series settings file that a reader of the project needs.

    Attributes
    ----------
    path : Path
        The file itself.
    data_folder, processing_folder : Path
        Folder of the `.tomostar` files, folder of the tilt-series XML files.
    extension : str
        Pattern of the data files, `*.tomostar` for tilt series.
    pixel_size_angstrom : float
        Unbinned, as recorded.
    bin_times : float
        Images are binned by 2 to this power.
    tomogram_size_px : tuple of float
        x, y, z of the volume in unbinned pixels.
    voltage_kv, cs_mm, amplitude_contrast : float
        The microscope.
    document : XmlDocument
        The whole file; what mlit does not know is written back from it.
    """

    path: Path
    data_folder: Path
    processing_folder: Path
    extension: str
    pixel_size_angstrom: float
    bin_times: float
    tomogram_size_px: tuple[float, float, float]
    voltage_kv: float = 300.0
    cs_mm: float = 2.7
    amplitude_contrast: float = 0.07
    document: XmlDocument = field(
        repr=False, compare=False, default_factory=lambda: XmlDocument(etree.ElementTree(etree.Element("Settings")))
    )

    @property
    def binned_pixel_size_angstrom(self) -> float:
        """Pixel size of the tilt images, PixelSize·2^BinTimes."""
        return self.pixel_size_angstrom * 2.0**self.bin_times

    @property
    def tomogram_size_angstrom(self) -> tuple[float, float, float]:
        """Size x, y, z of the volume."""
        x, y, z = self.tomogram_size_px
        return (x * self.pixel_size_angstrom, y * self.pixel_size_angstrom, z * self.pixel_size_angstrom)


def read_settings(path: Path | str) -> WarpSettings:
    """Read a tilt-series settings file.

    Relative folders are taken from the folder of the file. An absolute folder that is not there, as after a
    project moved to another computer, is looked for by its last name beside the file.

    Raises
    ------
    InputError
        If the file is absent or damaged, a key is missing or wrong, or the settings are for frame series.
    """
    path = Path(path)
    document = read_xml(path, "Settings", "settings file")
    root = document.root
    extension = _text(root, "Import", "Extension", path, default="*.tomostar")
    if not extension.lower().endswith(".tomostar"):
        raise InputError(
            f"{path}: Import/Extension is '{extension}': these are frame-series settings; "
            "give the tilt-series settings (Extension *.tomostar)"
        )
    x, y, z = (_positive(root, "Tomo", f"Dimensions{axis}", path, _LARGEST_DIMENSION_PX) for axis in "XYZ")
    return WarpSettings(
        path=path,
        data_folder=_folder(path, _text(root, "Import", "DataFolder", path)),
        processing_folder=_folder(path, _text(root, "Import", "ProcessingFolder", path)),
        extension=extension,
        pixel_size_angstrom=_positive(root, "Import", "PixelSize", path, _LARGEST_PIXEL_ANGSTROM),
        bin_times=_bin_times(root, path),
        tomogram_size_px=(x, y, z),
        voltage_kv=_number(root, "CTF", "Voltage", path, 300.0),
        cs_mm=_number(root, "CTF", "Cs", path, 2.7),
        amplitude_contrast=_number(root, "CTF", "Amplitude", path, 0.07),
        document=document,
    )


def write_settings(path: Path | str, settings: WarpSettings) -> None:
    """Write a settings file with folders relative to it where they lie beneath its folder.

    What mlit does not know, and numbers that have not changed, stay as they are written.

    Raises
    ------
    InputError
        If the place cannot be written to.
    """
    path = Path(path)
    size = settings.tomogram_size_px
    sections: dict[str, dict[str, str | float]] = {
        "Import": {
            "DataFolder": _relative(settings.data_folder, path.parent),
            "ProcessingFolder": _relative(settings.processing_folder, path.parent),
            "Extension": settings.extension,
            "PixelSize": settings.pixel_size_angstrom,
            "BinTimes": settings.bin_times,
        },
        "CTF": {
            "Voltage": settings.voltage_kv,
            "Cs": settings.cs_mm,
            "Amplitude": settings.amplitude_contrast,
        },
        "Tomo": {f"Dimensions{axis}": n for axis, n in zip("XYZ", size, strict=True)},
    }
    old = settings.document
    document = XmlDocument(copy.deepcopy(old.tree), old.has_byte_order_mark, old.declaration)
    is_new = not len(document.root)
    for section, params in sections.items():
        for name, value in params.items():
            _set_param(document.root, section, name, value)
    if is_new:
        etree.indent(document.root, "  ")
    write_xml(path, document)


def _set_param(root: etree._Element, section: str, name: str, value: str | float) -> None:
    parent = root.find(section)
    parent = etree.SubElement(root, section) if parent is None else parent
    param = next((node for node in parent.iterfind("Param") if node.get("Name") == name), None)
    param = etree.SubElement(parent, "Param", Name=name) if param is None else param
    written = param.get("Value")
    if isinstance(value, float | int):
        if written is None or parse_number(written, name) != value:
            param.set("Value", format_number(value))
    elif written is None or written.strip() != value:
        param.set("Value", value)


def _text(root: etree._Element, section: str, name: str, path: Path, default: str | None = None) -> str:
    for param in root.iterfind(f"{section}/Param"):
        if param.get("Name") == name:
            return (param.get("Value") or "").strip()
    if default is None:
        raise InputError(f"{path}: has no {section}/{name}; add it or make the settings again")
    return default


def _number(root: etree._Element, section: str, name: str, path: Path, default: float) -> float:
    text = _text(root, section, name, path, default=format_number(default))
    return parse_number(text, f"{path}: {section}/{name}")


def _positive(root: etree._Element, section: str, name: str, path: Path, largest: float) -> float:
    value = parse_positive(_text(root, section, name, path), f"{path}: {section}/{name}")
    if value > largest:
        raise InputError(f"{path}: {section}/{name} is {value:g}; it is {largest:g} at most")
    return value


def _bin_times(root: etree._Element, path: Path) -> float:
    value = _number(root, "Import", "BinTimes", path, 0.0)
    if not 0 <= value <= _LARGEST_BIN_TIMES:
        raise InputError(f"{path}: Import/BinTimes is {value:g}; it lies between 0 and {_LARGEST_BIN_TIMES:g}")
    return value


def _folder(settings_path: Path, written: str) -> Path:
    folder = Path(checked_path(written, f"{settings_path}: folder"))
    if folder.is_absolute() and not folder.exists():
        return settings_path.parent / folder.name
    return settings_path.parent / folder


def _relative(folder: Path, base: Path) -> str:
    absolute, root = folder.resolve(), base.resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else absolute.as_posix()
