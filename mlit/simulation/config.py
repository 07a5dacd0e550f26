"""What to simulate: one small dataclass for each part, checked when made."""

from dataclasses import dataclass, field, fields

from mlit.errors import InputError
from mlit.optics.zernike import EVEN_ORDERS, ODD_ORDERS


def _require(condition: bool, key: str, value: object, rule: str) -> None:
    """Raise the one-line error of a config value that breaks its rule."""
    if not condition:
        raise InputError(f"simulation.{key} must be {rule}, got {value}")


def _require_not_negative(section: str, config: object, names: tuple[str, ...]) -> None:
    """Check several numbers of one section against zero."""
    for name in names:
        value = getattr(config, name)
        _require(value >= 0, f"{section}.{name}", value, "zero or more")


@dataclass(frozen=True)
class StructureConfig:
    """The molecule.

    Attributes
    ----------
    path
        File with a structure (.npz, .pdb, .cif); None invents a globular one.
    diameter_angstrom, bead_spacing_angstrom, fill
        Size, finest detail and filled share of the ball of an invented molecule.
    symmetry
        Point group, of an invented molecule or of the file.
    seed
        Seed of the invented molecule; None follows the project's seed.
    """

    path: str | None = None
    diameter_angstrom: float = 230.0
    symmetry: str = "C1"
    bead_spacing_angstrom: float = 6.0
    fill: float = 0.4
    seed: int | None = None

    def __post_init__(self) -> None:
        _require(self.diameter_angstrom > 0, "structure.diameter_angstrom", self.diameter_angstrom, "above zero")
        _require(
            1.0 <= self.bead_spacing_angstrom <= 20.0,
            "structure.bead_spacing_angstrom",
            self.bead_spacing_angstrom,
            "between 1 and 20 Å",
        )
        _require(0 < self.fill <= 0.8, "structure.fill", self.fill, "above 0 and at most 0.8")


@dataclass(frozen=True)
class SecondSpeciesConfig:
    """A second species among the molecules.

    Attributes
    ----------
    share
        Part of ``sample.particles`` that are of it; 0 for none.
    structure
        Its molecule.
    """

    share: float = 0.0
    structure: StructureConfig = field(default_factory=StructureConfig)

    def __post_init__(self) -> None:
        _require(0 <= self.share < 1, "second_species.share", self.share, "at least 0 and below 1")


@dataclass(frozen=True)
class TiltSchemeConfig:
    """How each series is recorded, dose-symmetrically from zero outwards.

    Attributes
    ----------
    max_angle_deg, step_deg
        One value for each series; shorter lists are repeated in turn, so that series differ in tilt count.
    missing
        Tilts lost at random from each series (never the first one taken).
    dose_per_tilt
        Exposure of every tilt in e/Å².
    """

    max_angle_deg: tuple[float, ...] = (60.0,)
    step_deg: tuple[float, ...] = (3.0,)
    missing: int = 0
    dose_per_tilt: float = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_angle_deg", tuple(self.max_angle_deg))
        object.__setattr__(self, "step_deg", tuple(self.step_deg))
        _require(
            bool(self.max_angle_deg) and all(0 < a < 80 for a in self.max_angle_deg),
            "tilts.max_angle_deg",
            self.max_angle_deg,
            "angles between 0 and 80 degrees",
        )
        _require(
            bool(self.step_deg) and min(self.step_deg) > 0 and max(self.step_deg) <= min(self.max_angle_deg),
            "tilts.step_deg",
            self.step_deg,
            "above zero and at most max_angle_deg",
        )
        fewest = min(2 * int(a / max(self.step_deg)) + 1 for a in self.max_angle_deg)
        _require(
            0 <= self.missing <= fewest - 3,
            "tilts.missing",
            self.missing,
            "zero or more, leaving three tilts",
        )
        _require(self.dose_per_tilt > 0, "tilts.dose_per_tilt", self.dose_per_tilt, "above zero")


@dataclass(frozen=True)
class MicroscopeConfig:
    """Optics and camera.

    Attributes
    ----------
    defocus_um
        Range (low, high) from which each series' underfocus is drawn.
    defocus_variation_um
        Spread of the (known) defocus over the tilts of one series.
    astigmatism_um
        Full difference between the two main defoci; its direction is drawn for each series.
    phase_shift_pi
        Phase shift in units of π.
    contrast
        Factor on the molecules' phase; 1 is the full weak-phase prediction, 0 leaves noise only.
    mean_free_path_angstrom
        Inelastic mean free path in ice: what is scattered is filtered out.
    noise
        Count electrons (Poisson); False writes expected counts.
    float16
        Write averages as MRC mode 12 instead of float32.
    """

    voltage_kv: float = 300.0
    cs_mm: float = 2.7
    amplitude_contrast: float = 0.07
    defocus_um: tuple[float, ...] = (2.0, 4.0)
    defocus_variation_um: float = 0.05
    astigmatism_um: float = 0.05
    phase_shift_pi: float = 0.0
    width: int = 288
    height: int = 288
    pixel_size_angstrom: float = 6.0
    contrast: float = 0.6
    mean_free_path_angstrom: float = 3000.0
    noise: bool = True
    float16: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "defocus_um", tuple(self.defocus_um))
        for name in ("voltage_kv", "pixel_size_angstrom", "mean_free_path_angstrom"):
            _require(getattr(self, name) > 0, f"microscope.{name}", getattr(self, name), "above zero")
        _require_not_negative("microscope", self, ("cs_mm", "defocus_variation_um", "astigmatism_um", "contrast"))
        _require(
            0 <= self.amplitude_contrast < 1,
            "microscope.amplitude_contrast",
            self.amplitude_contrast,
            "in [0, 1)",
        )
        _require(
            len(self.defocus_um) == 2 and self.defocus_um[0] <= self.defocus_um[1],
            "microscope.defocus_um",
            self.defocus_um,
            "two values, low and high",
        )
        for name in ("width", "height"):
            value = getattr(self, name)
            _require(value >= 32 and value % 2 == 0, f"microscope.{name}", value, "an even number from 32")


@dataclass(frozen=True)
class SampleConfig:
    """The slab of ice.

    Attributes
    ----------
    particles
        Molecules in each series.
    thickness_angstrom
        Thickness of the ice; particles lie wholly inside.
    min_distance_angstrom
        Least distance between particle centres; None is the molecule's diameter.
    crowding
        Share of the ice's volume that random other molecules fill.
    crowd_diameter_angstrom
        Diameter of these molecules.
    """

    particles: int = 30
    thickness_angstrom: float = 1000.0
    min_distance_angstrom: float | None = None
    crowding: float = 0.05
    crowd_diameter_angstrom: float = 90.0

    def __post_init__(self) -> None:
        _require(self.particles >= 1, "sample.particles", self.particles, "at least 1")
        _require(self.thickness_angstrom > 0, "sample.thickness_angstrom", self.thickness_angstrom, "above zero")
        _require(0 <= self.crowding <= 0.4, "sample.crowding", self.crowding, "between 0 and 0.4")
        _require(
            self.crowd_diameter_angstrom >= 30,
            "sample.crowd_diameter_angstrom",
            self.crowd_diameter_angstrom,
            "at least 30 Å",
        )


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
            _require(len(nodes) == axes and min(nodes) >= 1, f"deformation.{name}", nodes, f"{axes} counts from 1")
        errors = [field.name for field in fields(self) if "error" in field.name]
        _require_not_negative("deformation", self, (*errors, "offset_angstrom", "level_angle_deg"))


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
            _require(set(orders) <= set(known), f"aberrations.{name}", orders, f"some of {known}")
        names = [field.name for field in fields(self) if "orders" not in field.name]
        _require_not_negative("aberrations", self, tuple(names))
        resolution = self.error_resolution_angstrom
        _require(resolution > 0, "aberrations.error_resolution_angstrom", resolution, "above zero")


@dataclass(frozen=True)
class PicksConfig:
    """Errors of the starting particle table.

    Attributes
    ----------
    position_error_angstrom, rotation_error_deg
        Standard deviations per axis of the starting poses.
    false_fraction
        Picks without a molecule, as a share of the molecules; appended in random places.
    """

    position_error_angstrom: float = 4.0
    rotation_error_deg: float = 3.0
    false_fraction: float = 0.0

    def __post_init__(self) -> None:
        _require_not_negative("picks", self, ("position_error_angstrom", "rotation_error_deg", "false_fraction"))


@dataclass(frozen=True)
class DefectsConfig:
    """Tilts that went wrong.

    Attributes
    ----------
    bad_tilts
        Spoilt tilts in each series, in turn: half of the field blocked, or dark.
    marked
        Whether the starting metadata already exclude them (UseTilt False). The truth always does.
    """

    bad_tilts: int = 0
    marked: bool = False

    def __post_init__(self) -> None:
        _require_not_negative("defects", self, ("bad_tilts",))


@dataclass(frozen=True)
class QualityConfig:
    """How much images differ in the strength of their signal beyond what dose and path through the ice make of it.

    Attributes
    ----------
    series_amplitude, tilt_amplitude
        Standard deviations of the logarithm of the amplitude, of whole series and of each tilt besides.
    series_bfactor_angstrom2, tilt_bfactor_angstrom2
        Largest decay; B factors are drawn evenly between none and this much.
    tilt_anisotropy_angstrom2
        Standard deviation of how much the B factor of each tilt varies with direction, along both components.
    place_grid
        Nodes (x, y) of a grid over the images, the same for all tilts and series, on which molecules differ besides.
    place_amplitude
        Standard deviation of the logarithm of the amplitude at the nodes.
    place_bfactor_angstrom2
        Largest decay at the nodes.
    """

    series_amplitude: float = 0.0
    series_bfactor_angstrom2: float = 0.0
    tilt_amplitude: float = 0.0
    tilt_bfactor_angstrom2: float = 0.0
    tilt_anisotropy_angstrom2: float = 0.0
    place_grid: tuple[int, ...] = (3, 3)
    place_amplitude: float = 0.0
    place_bfactor_angstrom2: float = 0.0

    def __post_init__(self) -> None:
        nodes = tuple(int(n) for n in self.place_grid)
        object.__setattr__(self, "place_grid", nodes)
        _require(len(nodes) == 2 and min(nodes) >= 2, "quality.place_grid", nodes, "two counts from 2")
        _require_not_negative("quality", self, tuple(f.name for f in fields(self) if f.name != "place_grid"))


@dataclass(frozen=True)
class SimulationConfig:
    """A whole project.

    Attributes
    ----------
    seed
        The same seed and config give the same bytes.
    series
        Number of tilt series, named ``<prefix>_01`` and on.
    """

    seed: int = 1
    series: int = 2
    prefix: str = "TS"
    structure: StructureConfig = field(default_factory=StructureConfig)
    tilts: TiltSchemeConfig = field(default_factory=TiltSchemeConfig)
    microscope: MicroscopeConfig = field(default_factory=MicroscopeConfig)
    sample: SampleConfig = field(default_factory=SampleConfig)
    deformation: DeformationConfig = field(default_factory=DeformationConfig)
    aberrations: AberrationConfig = field(default_factory=AberrationConfig)
    picks: PicksConfig = field(default_factory=PicksConfig)
    defects: DefectsConfig = field(default_factory=DefectsConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    second_species: SecondSpeciesConfig = field(default_factory=SecondSpeciesConfig)

    def __post_init__(self) -> None:
        _require(self.seed >= 0, "seed", self.seed, "zero or more")
        _require(self.series >= 1, "series", self.series, "at least 1")
        _require(
            bool(self.prefix) and not set(self.prefix) & set("/\\ ."),
            "prefix",
            repr(self.prefix),
            "a name without slashes, dots and spaces",
        )
