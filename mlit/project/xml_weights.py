"""Strength of the signal in the images of a series from its XML, and back into it.

Warp and M multiply the CTF by ``GridDoseWeights · GridLocationWeights · Weight`` and add up the B factors
``GridDoseBfacs + GridLocationBfacs + Bfactor``. A tilt grid of one value was never estimated.
"""

import math

import numpy as np
import torch

from mlit.errors import InputError
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.likelihood.signal_weights import SignalWeights
from mlit.project.tilt_values import check_tilt_nodes, estimated_tilt_values, tilt_values

_TRIVIAL = {
    "GridDoseWeights": 1.0,
    "GridDoseBfacs": 0.0,
    "GridDoseBfacsDelta": 0.0,
    "GridDoseBfacsAngle": 0.0,
    "GridLocationWeights": 1.0,
    "GridLocationBfacs": 0.0,
}


def weights_from_xml(xml: TiltSeriesXml) -> SignalWeights:
    """Return the weights that the file states.

    Raises
    ------
    InputError
        If weights are negative, or a grid has other nodes than the series has tilts.
    """
    amplitude = estimated_tilt_values(xml, "GridDoseWeights")
    bfactor = estimated_tilt_values(xml, "GridDoseBfacs")
    places = _places(xml)
    series_amplitude = xml.attribute_number("Weight", 1.0)
    lowest = {
        "GridDoseWeights": 0.0 if amplitude is None else amplitude.min(),
        "GridLocationWeights": 0.0 if places is None else places[..., 0].min(),
        "Weight": series_amplitude,
    }
    for name, value in lowest.items():
        if value < 0:
            raise InputError(f"{xml.path}: {name} has negative values; estimate the weights again")
    return SignalWeights(
        series_amplitude,
        xml.attribute_number("Bfactor", 0.0),
        None if amplitude is None else torch.from_numpy(amplitude.copy()),
        None if bfactor is None else torch.from_numpy(bfactor.copy()),
        _anisotropy(xml),
        None if places is None else torch.from_numpy(places),
    )


def xml_with_weights(xml: TiltSeriesXml, weights: SignalWeights) -> TiltSeriesXml:
    """Return a copy of the file that states `weights`; tilts that are not used get the weight 0.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    grids = {name: np.full((1, 1, 1), value) for name, value in _TRIVIAL.items()}
    if weights.tilt_amplitude is not None:
        used = weights.tilt_amplitude.numpy() * xml.use_tilt
        grids["GridDoseWeights"] = used[:, None, None]
    if weights.tilt_bfactor_angstrom2 is not None:
        grids["GridDoseBfacs"] = weights.tilt_bfactor_angstrom2.numpy()[:, None, None]
    if weights.anisotropy_angstrom2 is not None:
        x, y = weights.anisotropy_angstrom2.numpy().T
        grids["GridDoseBfacsDelta"] = np.hypot(x, y)[:, None, None]
        grids["GridDoseBfacsAngle"] = np.rad2deg(np.arctan2(y, x) / 2)[:, None, None]
    if weights.places is not None:
        amplitude, bfactor = weights.places.unbind(-1)
        grids |= {"GridLocationWeights": amplitude.numpy(), "GridLocationBfacs": bfactor.numpy()}
    series = {"Weight": weights.series_amplitude, "Bfactor": weights.series_bfactor_angstrom2}
    return xml.with_grids(grids).with_attributes(series)


def _anisotropy(xml: TiltSeriesXml) -> torch.Tensor | None:
    """Vectors (δ cos 2θ, δ sin 2θ) of the tilts; None where no B factor varies with direction."""
    size = tilt_values(xml, "GridDoseBfacsDelta", 0.0)
    if not size.any():
        return None
    twice = 2 * math.pi / 180 * tilt_values(xml, "GridDoseBfacsAngle", 0.0)
    return torch.from_numpy(size[:, None] * np.stack([np.cos(twice), np.sin(twice)], -1))


def _places(xml: TiltSeriesXml) -> np.ndarray | None:
    """Amplitudes and B factors over the images, [t, y, x, 2]; None where there is one node only."""
    amplitude, bfactor = xml.grid("GridLocationWeights", 1.0), xml.grid("GridLocationBfacs", 0.0)
    if amplitude.shape == bfactor.shape == (1, 1, 1):
        return None
    amplitude, bfactor = (values if values.size > 1 else None for values in (amplitude, bfactor))
    if amplitude is None:
        amplitude = np.ones_like(bfactor)
    if bfactor is None:
        bfactor = np.zeros_like(amplitude)
    if amplitude.shape != bfactor.shape:
        raise InputError(
            f"{xml.path}: GridLocationWeights and GridLocationBfacs differ in size; estimate the weights again"
        )
    check_tilt_nodes(xml, "GridLocationWeights", len(amplitude))
    return np.stack([amplitude, bfactor], -1)
