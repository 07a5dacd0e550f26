"""What lies in ``truth/`` beside a simulated project, for judging results only."""

TRUTH_FOLDER = "truth"

TRUTH_FILES = {
    "warp/NAME.xml": "tilt series as it was: deformations in Warp's grids; spoilt tilts have UseTilt False",
    "particles.star": "rows of ../particles.star in order with true poses, those of moving particles in M's columns; "
    "mlitFalsePick 1 = no molecule",
    "structure.npz": "molecule: xyz (Å), potential (V Å³: component, atom), b_factor (Å²), symmetry",
    "map.mrc": "its potential above ice in V at the project's pixel size, origin at voxel n//2",
    "meta.json": "the configuration; molecules, false picks, spoilt and missing tilts of every series, strength of its "
    "signal",
}
"""Path in the folder, and content."""


def species_suffix(species: int) -> str:
    """Return what the files of a species, counted from 0, have behind their names."""
    return f"_{species + 1}" if species else ""


def truth_table() -> str:
    """Return the table of files as Markdown."""
    rows = [f"| `{name}` | {content} |" for name, content in TRUTH_FILES.items()]
    head = [
        "# Truth of this simulated project",
        "",
        "For judging results; nothing that refines may read it. Files of a second species end in `_2`.",
        "",
    ]
    return "\n".join([*head, "| file | content |", "|---|---|", *rows, ""])
