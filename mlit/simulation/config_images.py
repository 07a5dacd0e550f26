"""How images to simulate are recorded, and how good they are."""

from dataclasses import dataclass, fields

from mlit.simulation.config_rules import require, require_not_negative


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
        require(
            bool(self.max_angle_deg) and all(0 < a < 80 for a in self.max_angle_deg),
            "tilts.max_angle_deg",
            self.max_angle_deg,
            "angles between 0 and 80 degrees",
        )
        require(
            bool(self.step_deg) and min(self.step_deg) > 0 and max(self.step_deg) <= min(self.max_angle_deg),
            "tilts.step_deg",
            self.step_deg,
            "above zero and at most max_angle_deg",
        )
        fewest = min(2 * int(a / max(self.step_deg)) + 1 for a in self.max_angle_deg)
        require(
            0 <= self.missing <= fewest - 3,
            "tilts.missing",
            self.missing,
            "zero or more, leaving three tilts",
        )
        require(self.dose_per_tilt > 0, "tilts.dose_per_tilt", self.dose_per_tilt, "above zero")


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
            require(getattr(self, name) > 0, f"microscope.{name}", getattr(self, name), "above zero")
        require_not_negative("microscope", self, ("cs_mm", "defocus_variation_um", "astigmatism_um", "contrast"))
        require(
            0 <= self.amplitude_contrast < 1,
            "microscope.amplitude_contrast",
            self.amplitude_contrast,
            "in [0, 1)",
        )
        require(
            len(self.defocus_um) == 2 and self.defocus_um[0] <= self.defocus_um[1],
            "microscope.defocus_um",
            self.defocus_um,
            "two values, low and high",
        )
        for name in ("width", "height"):
            value = getattr(self, name)
            require(value >= 32 and value % 2 == 0, f"microscope.{name}", value, "an even number from 32")


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
        require(len(nodes) == 2 and min(nodes) >= 2, "quality.place_grid", nodes, "two counts from 2")
        require_not_negative("quality", self, tuple(f.name for f in fields(self) if f.name != "place_grid"))


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
        require_not_negative("defects", self, ("bad_tilts",))
