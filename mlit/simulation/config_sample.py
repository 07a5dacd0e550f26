"""What is in the ice to simulate: molecules, and the table that lists them."""

from dataclasses import dataclass, field

from mlit.simulation.config_rules import require, require_not_negative


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
        require(self.diameter_angstrom > 0, "structure.diameter_angstrom", self.diameter_angstrom, "above zero")
        require(
            1.0 <= self.bead_spacing_angstrom <= 20.0,
            "structure.bead_spacing_angstrom",
            self.bead_spacing_angstrom,
            "between 1 and 20 Å",
        )
        require(0 < self.fill <= 0.8, "structure.fill", self.fill, "above 0 and at most 0.8")


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
        require(0 <= self.share < 1, "second_species.share", self.share, "at least 0 and below 1")


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
        require(self.particles >= 1, "sample.particles", self.particles, "at least 1")
        require(self.thickness_angstrom > 0, "sample.thickness_angstrom", self.thickness_angstrom, "above zero")
        require(0 <= self.crowding <= 0.4, "sample.crowding", self.crowding, "between 0 and 0.4")
        require(
            self.crowd_diameter_angstrom >= 30,
            "sample.crowd_diameter_angstrom",
            self.crowd_diameter_angstrom,
            "at least 30 Å",
        )


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
        require_not_negative("picks", self, ("position_error_angstrom", "rotation_error_deg", "false_fraction"))
