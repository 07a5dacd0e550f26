"""MRC images and volumes.

The layout is that of the MRC2014 format (Cheng et al., J Struct Biol 192:146, 2015): a header of 1024
bytes, an extended header, then values with x fastest. Mode 12 holds half-precision floats.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from mlit.errors import InputError, OutOfMemoryInputError
from mlit.io.atomic import atomic_write
from mlit.io.reading import file_size

_HEADER_BYTES = 1024
_PIXEL_RANGE = (1e-3, 1e5)  # Å; what lies outside was never meant
_DTYPES = {0: np.dtype("i1"), 1: np.dtype("i2"), 2: np.dtype("f4"), 6: np.dtype("u2"), 12: np.dtype("f2")}


@dataclass(frozen=True)
class MrcHeader:
    """What mlit needs of an MRC header.

    Attributes
    ----------
    shape : tuple of int
        (z, y, x) in pixels; z is 1 for a single image.
    mode : int
        MRC data mode: 0 int8, 1 int16, 2 float32, 6 uint16, 12 float16.
    pixel_size_angstrom : float or None
        Along x; None where the header does not say.
    byte_order : str
        "<" or ">".
    data_offset_bytes : int
        Where the values begin.
    origin_angstrom : tuple of float
        Where the first voxel lies, x, y, z, as viewers place maps.
    start_px : tuple of int
        The older field for the same, `nxstart`, `nystart`, `nzstart`.
    """

    shape: tuple[int, int, int]
    mode: int
    pixel_size_angstrom: float | None
    byte_order: Literal["<", ">"]
    data_offset_bytes: int
    origin_angstrom: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start_px: tuple[int, int, int] = (0, 0, 0)


def read_mrc_header(path: Path | str) -> MrcHeader:
    """Read the header and check that the file holds as many values as it announces.

    Raises
    ------
    InputError
        If the file is absent, no MRC file, of an unknown mode, or cut short.
    """
    path = Path(path)
    raw = _header_bytes(path)
    order = _byte_order(raw, path)
    fields = np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder(order))[0]
    shape = (int(fields["nz"]), int(fields["ny"]), int(fields["nx"]))
    header = MrcHeader(
        shape=shape,
        mode=int(fields["mode"]),
        pixel_size_angstrom=_pixel_size(float(fields["cella"]["x"]), int(fields["mx"])),
        byte_order=order,
        data_offset_bytes=_HEADER_BYTES + int(fields["nsymbt"]),
        origin_angstrom=_origin(fields["origin"]),
        start_px=(int(fields["nxstart"]), int(fields["nystart"]), int(fields["nzstart"])),
    )
    _check_size(header, path)
    return header


def read_mrc(path: Path | str) -> tuple[np.ndarray, float | None]:
    """Read an image or a volume.

    Returns
    -------
    array : ndarray of float32
        [y, x] for a file with one section, [z, y, x] otherwise.
    pixel_size_angstrom : float or None
        As in `MrcHeader`.

    Raises
    ------
    InputError
        As `read_mrc_header`.
    """
    path = Path(path)
    header = read_mrc_header(path)
    dtype = _DTYPES[header.mode].newbyteorder(header.byte_order)
    try:
        values = np.fromfile(path, dtype, count=math.prod(header.shape), offset=header.data_offset_bytes)
        array = values.astype(np.float32, copy=False).reshape(header.shape)
    except (MemoryError, ValueError, OverflowError) as error:
        raise OutOfMemoryInputError(
            f"{path}: {_size_text(header)} do not fit into the memory; is it the right file?"
        ) from error
    return (array[0] if header.shape[0] == 1 else array), header.pixel_size_angstrom


def view_mrc(path: Path | str) -> tuple[np.ndarray, float | None]:
    """Return what :func:`read_mrc` returns, but read only what is looked at, where the file allows that.

    The array may be written to, which does not change the file.

    Raises
    ------
    InputError
        As `read_mrc_header`.
    """
    path = Path(path)
    header = read_mrc_header(path)
    dtype = _DTYPES[header.mode].newbyteorder(header.byte_order)
    if dtype != np.dtype(np.float32) or header.data_offset_bytes % 4:
        return read_mrc(path)
    array = np.memmap(path, np.float32, "c", header.data_offset_bytes, header.shape).view(np.ndarray)
    return (array[0] if header.shape[0] == 1 else array), header.pixel_size_angstrom


def read_mrc_section(path: Path | str, section: int) -> np.ndarray:
    """Read one section of a stack, float32 [y, x]; sections count from 0.

    Raises
    ------
    InputError
        As `read_mrc_header`, or if the stack has no such section.
    """
    path = Path(path)
    header = read_mrc_header(path)
    sections, y, x = header.shape
    if not 0 <= section < sections:
        raise InputError(f"{path}: has {sections} sections, but section {section + 1} is named; correct the image name")
    dtype = _DTYPES[header.mode].newbyteorder(header.byte_order)
    offset = header.data_offset_bytes + section * y * x * dtype.itemsize
    return np.fromfile(path, dtype, count=y * x, offset=offset).astype(np.float32).reshape(y, x)


def write_mrc(
    path: Path | str, array: np.ndarray, pixel_size_angstrom: float, placed_as: MrcHeader | None = None
) -> None:
    """Write an image [y, x] or a volume [z, y, x]; the file appears only when it is complete.

    float16 arrays are stored as such (mode 12), everything else as float32 (mode 2). Viewers show the map where they
    show the one of the header `placed_as`.

    Raises
    ------
    InputError
        If the place cannot be written to.
    ValueError
        If a value is not finite.
    """
    values = np.asarray(array)
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: refusing to write values that are not finite")
    stored = values if values.dtype == np.float16 else values.astype(np.float32)
    with atomic_write(path) as partial, mrcfile.new(partial) as mrc:
        mrc.set_data(np.ascontiguousarray(stored))
        mrc.voxel_size = pixel_size_angstrom
        if mrc.header is not None:
            mrc.header.label[0] = b"mlit"
            if placed_as is not None:
                mrc.header.origin = placed_as.origin_angstrom
                mrc.nstart = placed_as.start_px


def _size_text(header: MrcHeader) -> str:
    return " × ".join(str(n) for n in reversed(header.shape)) + " values"


def _header_bytes(path: Path) -> bytes:
    file_size(path, "MRC file")  # refuses what is no file
    try:
        with path.open("rb") as stream:
            raw = stream.read(_HEADER_BYTES)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: MRC file cannot be read ({reason})") from error
    if len(raw) < _HEADER_BYTES:
        raise InputError(f"{path}: is cut short ({len(raw)} bytes, no MRC header); copy or make it again")
    return raw


def _byte_order(raw: bytes, path: Path) -> Literal["<", ">"]:
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        fields = np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder(order))[0]
        dimensions = [int(fields[key]) for key in ("nx", "ny", "nz")]
        if int(fields["mode"]) in _DTYPES and min(dimensions) > 0 and int(fields["nsymbt"]) >= 0:
            return order
    mode = int(np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder("<"))[0]["mode"])
    raise InputError(f"{path}: is not an MRC file that mlit reads (mode {mode}; modes 0, 1, 2, 6 and 12 are known)")


def _pixel_size(cell_angstrom: float, samples: int) -> float | None:
    if samples <= 0 or not math.isfinite(cell_angstrom) or cell_angstrom <= 0:
        return None
    pixel = cell_angstrom / samples
    return pixel if _PIXEL_RANGE[0] <= pixel <= _PIXEL_RANGE[1] else None


def _origin(field: np.void) -> tuple[float, float, float]:
    """Origin in Å; nothing usable counts as zero."""
    x, y, z = (float(field[axis]) if math.isfinite(field[axis]) else 0.0 for axis in "xyz")
    return x, y, z


def _check_size(header: MrcHeader, path: Path) -> None:
    expected = header.data_offset_bytes + math.prod(header.shape) * _DTYPES[header.mode].itemsize
    present = path.stat().st_size
    if present < expected:
        raise InputError(
            f"{path}: is cut short ({present} bytes of {expected} that its header announces); copy or make it again"
        )
