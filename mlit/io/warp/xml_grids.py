"""Grids of numbers in Warp's XML: elements with one `<Node X Y Z [W] Value/>` per node.

Nodes are placed by their attributes, never by their order in the file. Arrays have the fastest axis of Warp
last: [z, y, x] or [w, z, y, x]; in a tilt series the z of a 3D grid counts tilts in file order.
"""

import math

import lxml.etree as etree
import numpy as np

from mlit.errors import InputError
from mlit.io.numbers import format_number, parse_integer, parse_number

_AXES_3D = (("Depth", "Z"), ("Height", "Y"), ("Width", "X"))
_AXES_4D = (("Duration", "W"), *_AXES_3D)


def grid_values(element: etree._Element, dimensions: int, where: str) -> np.ndarray:
    """Return the values of a grid element.

    Parameters
    ----------
    element : lxml element
        Such as `<GridMovementX Width= Height= Depth= …>`.
    dimensions : int
        3 for [z, y, x], 4 for [w, z, y, x].
    where : str
        File and element, the beginning of error messages.

    Raises
    ------
    InputError
        If sizes and nodes disagree, a value is no finite number, or the grid has margins.
    """
    axes = _axes(dimensions)
    shape = tuple(parse_integer(element.get(size), f"{where}: {size}") for size, _ in axes)
    nodes = element.findall("Node")
    if min(shape) < 1 or math.prod(shape) != len(nodes):
        sizes = " × ".join(str(size) for size in reversed(shape))
        raise InputError(f"{where} announces {sizes} nodes but holds {len(nodes)}; restore the file")
    _check_margins(element, shape, where)
    values = np.full(shape, np.nan)
    for node in nodes:
        index = tuple(parse_integer(node.get(axis), f"{where}: node {axis}") for _, axis in axes)
        if any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
            raise InputError(f"{where}: node {index[::-1]} lies outside the grid; restore the file")
        if not np.isnan(values[index]):
            raise InputError(f"{where}: node {index[::-1]} is there twice; restore the file")
        values[index] = parse_number(node.get("Value"), f"{where}: value of node {index[::-1]}")
    return values


def fill_grid(element: etree._Element, values: np.ndarray) -> None:
    """Replace sizes and nodes of a grid element in place; other attributes and what surrounds it stay."""
    axes = _axes(values.ndim)
    for node in list(element):
        element.remove(node)
    for (size, _), length in zip(reversed(axes), reversed(values.shape), strict=True):
        element.set(size, str(length))
    if values.ndim == 3:
        for margin in ("MarginX", "MarginY", "MarginZ"):
            element.set(margin, "0")
    element.text = "\n\t\t"
    for index in np.ndindex(*values.shape):
        node = etree.SubElement(element, "Node")
        for (_, axis), position in zip(reversed(axes), reversed(index), strict=True):
            node.set(axis, str(position))
        node.set("Value", format_number(float(values[index])))
        node.tail = "\n\t\t"
    element[-1].tail = "\n\t"


def _axes(dimensions: int) -> tuple[tuple[str, str], ...]:
    return _AXES_3D if dimensions == 3 else _AXES_4D


def _check_margins(element: etree._Element, shape: tuple[int, ...], where: str) -> None:
    for axis, nodes in zip("XYZ", reversed(shape[-3:]), strict=True):
        text = element.get(f"Margin{axis}")
        if text is not None and nodes > 1 and parse_number(text, f"{where}: Margin{axis}") != 0:
            raise InputError(f"{where}: Margin{axis} is not 0, which mlit cannot use; resample it in Warp")
