"""What to simulate: one small dataclass for each part, checked when made."""

from dataclasses import dataclass, field

from mlit.simulation.config_errors import AberrationConfig, DeformationConfig
from mlit.simulation.config_images import DefectsConfig, MicroscopeConfig, QualityConfig, TiltSchemeConfig
from mlit.simulation.config_rules import require
from mlit.simulation.config_sample import PicksConfig, SampleConfig, SecondSpeciesConfig, StructureConfig


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
        require(self.seed >= 0, "seed", self.seed, "zero or more")
        require(self.series >= 1, "series", self.series, "at least 1")
        require(
            bool(self.prefix) and not set(self.prefix) & set("/\\ ."),
            "prefix",
            repr(self.prefix),
            "a name without slashes, dots and spaces",
        )
