"""A population of M on disk, made around a project of Warp."""

from pathlib import Path

SOURCE_GUID = "0a1b2c3d-0000-4000-8000-000000000001"
SPECIES_GUID = "9f8e7d6c-0000-4000-8000-000000000002"
MARK = "\ufeff"

POPULATION = """<?xml version="1.0" encoding="utf-8"?>
<Population Future="kept">
\t<Param Name="Name" Value="cells" />
\t<Param Name="Unknown" Value="7" />
\t<Species>
\t\t<Species GUID="{species}" Path="species\\ribo some_9f8e7d6c\\ribo some.species" Extra="kept" />
\t</Species>
\t<Sources>
\t\t<Source GUID="{source}" Path="{source_path}" />
\t</Sources>
\t<LastRefinementOptions>
\t\t<Param Name="NIterations" Value="3" />
\t</LastRefinementOptions>
</Population>"""

SOURCE = """<?xml version="1.0" encoding="utf-8"?>
<DataSource>
\t<Param Name="GUID" Value="{source}" />
\t<Param Name="Version" Value="Lc2-_AbCdEfGhIjKlMnOpQrStUv" />
\t<Param Name="DontVersion" Value="False" />
\t<Param Name="PreviousVersion" Value="" />
\t<Param Name="Name" Value="day 1" />
\t<Param Name="RelativeBFactor" Value="0, 0, 0" />
\t<Param Name="PixelSize" Value="{pixel}" />
\t<Param Name="DimensionsX" Value="48.0" />
\t<Param Name="DimensionsY" Value="32" />
\t<Param Name="DimensionsZ" Value="20" />
\t<Param Name="GainPath" Value="..\\gain.mrc" />
\t<UsedSpecies>
\t\t<Species GUID="{species}" Version="0123abcd" />
\t</UsedSpecies>
\t<Files>
{files}
\t</Files>
</DataSource>"""

SPECIES = """<?xml version="1.0" encoding="utf-8"?>
<Species>
\t<Param Name="GUID" Value="{species}" />
\t<Param Name="Version" Value="0123abcd" />
\t<Param Name="PreviousVersion" Value="" />
\t<Param Name="Name" Value="ribo some" />
\t<Param Name="PixelSize" Value="4.00" />
\t<Param Name="MolecularWeightkDa" Value="100" />
\t<Param Name="DiameterAngstrom" Value="40" />
\t<Param Name="Symmetry" Value="D2" />
\t<Param Name="DoEwald" Value="False" />
\t<Param Name="EwaldReverse" Value="True" />
\t<Param Name="TemporalResolutionMovement" Value="2" />
\t<Param Name="TemporalResolutionRotation" Value="1" />
\t<Param Name="GlobalResolution" Value="-1" />
\t<Future Deep="yes">text</Future>
\t<UsedDataSources>
\t\t<DataSource GUID="{source}" Version="Lc2-_AbCdEfGhIjKlMnOpQrStUv" />
\t</UsedDataSources>
</Species>"""


def write_population_files(root: Path, names: list[str], source_folder: str = "warp_tiltseries") -> Path:
    """Write a population with one source and one species, without particles and maps; returns its path."""
    files = "\n".join(
        f'\t\t<File Hash="hash_{name}" Name="{name}.tomostar" Weight="1" Bfactor="0" />' for name in names
    )
    texts = {
        root / "m" / "cells.population": POPULATION.format(
            species=SPECIES_GUID, source=SOURCE_GUID.upper(), source_path=f"../{source_folder}/day1.source"
        ),
        root / source_folder / "day1.source": SOURCE.format(
            species=SPECIES_GUID, source=SOURCE_GUID, pixel="2.0", files=files
        ),
        root / "m/species/ribo some_9f8e7d6c/ribo some.species": SPECIES.format(
            species=SPECIES_GUID, source=SOURCE_GUID
        ),
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MARK + text, encoding="utf-8")
    return root / "m" / "cells.population"
