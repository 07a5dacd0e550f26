"""What a simulation knows and its starting metadata do not: deformations and aberrations."""

from dataclasses import dataclass, fields

from mlit.optics.zernike import EVEN_ORDERS, ODD_ORDERS
from mlit.simulation.config_rules import require, require_not_negative


@dataclass(frozen=True)
class DeformationConfig:
    """What really happened to the series, and how much of it the starting metadata lack.

    Every ``*_error`` is in the truth only, everything else in both. Errors are standard deviations per axis.

    Attributes
    ----------
    axis_angle_deg
        Tilt axis in the starting metadata.
    axis_angle_error_deg
        True minus starting axis, drawn once for each series.
    offset_angstrom
        Known image shifts of the tilts.
    shift_error_angstrom
        Unknown image shifts of the tilts.
    level_angle_deg
        Pre-tilt of the sample about x and y, known.
    stage_angle_error_deg
        Rotation of each tilt that acts on orientations (Warp's GridAngle).
    tilt_angle_error_deg, tilt_axis_error_deg
        Errors of the stage in each tilt, which act on positions and orientations.
    particle_motion_error_angstrom, particle_motion_error_deg
        How far each particle moves and turns, steadily, from the first dose to the last; picks know the middle.
    image_warp, image_warp_error_angstrom
        Nodes (x, y) and size of a warp drawn afresh in every tilt, without its mean.
    volume_warp, volume_warp_error_angstrom
        Nodes (x, y, z, dose) of a warp of the sample and its size at the full dose; zero at no dose.
    defocus_error_um
        Unknown part of each tilt's defocus.
    depth_inverted
        AreAnglesInverted of the truth: the sign of depth in the defocus.
    wrong_hand
        Write the opposite of ``depth_inverted`` into the starting metadata.
    """

    axis_angle_deg: float = -94.4
    axis_angle_error_deg: float = 0.0
    offset_angstrom: float = 30.0
    shift_error_angstrom: float = 4.0
    level_angle_deg: float = 2.0
    stage_angle_error_deg: float = 0.25
    tilt_angle_error_deg: float = 0.0
    tilt_axis_error_deg: float = 0.0
    particle_motion_error_angstrom: float = 0.0
    particle_motion_error_deg: float = 0.0
    image_warp: tuple[int, ...] = (4, 4)
    image_warp_error_angstrom: float = 3.0
    volume_warp: tuple[int, ...] = (3, 3, 2, 8)
    volume_warp_error_angstrom: float = 2.0
    defocus_error_um: float = 0.05
    depth_inverted: bool = True
    wrong_hand: bool = False

    def __post_init__(self) -> None:
        for name, axes in (("image_warp", 2), ("volume_warp", 4)):
            nodes = tuple(int(n) for n in getattr(self, name))
            object.__setattr__(self, name, nodes)
            require(len(nodes) == axes and min(nodes) >= 1, f"deformation.{name}", nodes, f"{axes} counts from 1")
        errors = [field.name for field in fields(self) if "error" in field.name]
        require_not_negative("deformation", self, (*errors, "offset_angstrom", "level_angle_deg"))


@dataclass(frozen=True)
class AberrationConfig:
    """What the optics really were, and the starting metadata do not know.

    Errors are standard deviations; all of them are in the truth only. Those of the tilts are drawn for each of
    them, the others once for each series.

    Attributes
    ----------
    astigmatism_error_um
        Along both components of each tilt's astigmatism.
    phase_shift_error_deg
        Phase shift of the series.
    phase_shift_scatter_deg
        Of each tilt besides.
    cs_error_mm
        Spherical aberration.
    odd_error_deg, even_error_deg
        Phase of each term of odd and even aberrations that is not round, at ``error_resolution_angstrom``.
    odd_orders, even_orders
        Powers of frequency that these have.
    magnification_error_percent
        Each entry of the magnification matrix.
    """

    astigmatism_error_um: float = 0.0
    phase_shift_error_deg: float = 0.0
    phase_shift_scatter_deg: float = 0.0
    cs_error_mm: float = 0.0
    odd_error_deg: float = 0.0
    odd_orders: tuple[int, ...] = (3,)
    even_error_deg: float = 0.0
    even_orders: tuple[int, ...] = (4,)
    error_resolution_angstrom: float = 12.0
    magnification_error_percent: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("odd_orders", ODD_ORDERS), ("even_orders", EVEN_ORDERS)):
            orders = tuple(getattr(self, name))
            object.__setattr__(self, name, orders)
            require(set(orders) <= set(known), f"aberrations.{name}", orders, f"some of {known}")
        names = [field.name for field in fields(self) if "orders" not in field.name]
        require_not_negative("aberrations", self, tuple(names))
        resolution = self.error_resolution_angstrom
        require(resolution > 0, "aberrations.error_resolution_angstrom", resolution, "above zero")
