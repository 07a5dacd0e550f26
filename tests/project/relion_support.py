"""A tilt series that bends in every way that Warp's metadata can describe, and RELION's own projection of a set."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mlit.geometry.rotations import matrix_from_euler
from mlit.geometry.trajectory import continuous_euler, evaluate_trajectory, normalised_dose
from mlit.io.mrc import write_mrc
from mlit.io.star import read_star, write_star
from mlit.io.warp.settings import WarpSettings, write_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import Tomostar, write_tomostar
from mlit.project.project import Project

PIXEL = 8.0
IMAGE = (64, 48)
VOLUME = (520.0, 400.0, 240.0)
TILTS = 11
PARTICLES = 12


def bent_xml(name: str, rng: np.random.Generator) -> TiltSeriesXml:
    angle = np.linspace(-50, 50, TILTS)
    dose = 3.0 * np.argsort(np.argsort(np.abs(angle) + 0.1 * (angle < 0)))
    movies = [f"../warp_frameseries/{name}_{tilt}.tif" for tilt in range(TILTS)]
    lists = {
        "Angles": angle,
        "Dose": dose,
        "UseTilt": [tilt != 2 for tilt in range(TILTS)],
        "AxisAngle": 84 + rng.normal(0, 0.2, TILTS),
        "AxisOffsetX": rng.normal(0, 20, TILTS),
        "AxisOffsetY": rng.normal(0, 20, TILTS),
        "MoviePath": movies,
    }
    attributes = {
        "AreAnglesInverted": True,
        "LevelAngleX": 2.1,
        "LevelAngleY": -1.4,
        "VolumeDimensionsAngstrom": VOLUME,
    }
    attributes["ImageDimensionsAngstrom"] = np.array(IMAGE) * PIXEL
    ctf = {"Voltage": 300, "Cs": 2.7, "Amplitude": 0.07, "PixelSize": PIXEL, "ZernikeCoeffsOdd": "3;-2;40;0;-30;12"}
    grids = {f"GridMovement{axis}": rng.normal(0, 3, (TILTS, 3, 4)) for axis in "XY"}
    grids |= {f"GridAngle{axis}": rng.normal(0, 0.3, (TILTS, 1, 1)) for axis in "XYZ"}
    grids |= {f"GridVolumeWarp{axis}": rng.normal(0, 2, (5, 2, 3, 3)) for axis in "XYZ"}
    grids["GridCTF"] = rng.normal(3, 0.1, (TILTS, 1, 1))
    grids["GridCTFDefocusDelta"] = rng.normal(0.05, 0.02, (TILTS, 1, 1))
    grids["GridCTFDefocusAngle"] = rng.uniform(-90, 90, (TILTS, 1, 1))
    grids["GridCTFPhase"] = rng.uniform(0.2, 0.3, (TILTS, 1, 1))
    grids["GridDoseWeights"] = rng.uniform(0.3, 1, (TILTS, 1, 1))
    grids["GridDoseBfacs"] = -rng.uniform(3, 6, (TILTS, 1, 1)) * dose[:, None, None]
    return TiltSeriesXml.new(name, lists, attributes, ctf).with_grids(grids)


def write_bent_project(root: Path, names: tuple[str, ...] = ("A", "B"), samples: int = 1) -> tuple[Path, Path]:
    """Write a project; return settings and particles."""
    rng = np.random.default_rng(7)
    settings = root / "warp_tiltseries.settings"
    size = tuple(side / PIXEL for side in VOLUME)
    folders = (root / "tomostar", root / "warp_tiltseries")
    write_settings(settings, WarpSettings(settings, *folders, "*.tomostar", PIXEL, 0.0, size))
    rows = []
    for name in names:
        xml = bent_xml(name, rng)
        xml.write(root / "warp_tiltseries" / f"{name}.xml")
        write_tomostar(root / "tomostar" / f"{name}.tomostar", Tomostar(xml.movie_paths, xml.angle_deg, xml.dose))
        for movie in xml.movie_paths:
            image = rng.normal(0, 1, IMAGE[::-1])
            write_mrc(root / "warp_frameseries" / "average" / f"{Path(movie).stem}.mrc", image, PIXEL)
        for _ in range(PARTICLES):
            place = rng.uniform(0.2, 0.8, 3) * VOLUME
            euler = rng.uniform(20, 160, 3)
            row = {}
            for sample in range(1, samples + 1):
                row |= dict(zip((f"wrpCoordinate{a}{sample}" for a in "XYZ"), place + rng.normal(0, 2, 3), strict=True))
                row |= dict(zip((f"wrpAngle{a}{sample}" for a in ("Rot", "Tilt", "Psi")), euler, strict=True))
            rows.append({**row, "wrpSourceName": f"{name}.tomostar"})
    particles = root / "particles.star"
    write_star(particles, {"": pd.DataFrame(rows)}, decimals=9)
    return settings, particles


def seen(project: Project, name: str) -> dict[str, np.ndarray]:
    """What the images of a series show, tilts that are used only: positions from the middle pixel, turns, defoci."""
    series = next(series for series in project.series if series.name == name)
    geometry, table, rows = series.geometry, project.particles, series.particle_index.numpy()
    time = normalised_dose(geometry.dose)
    place = evaluate_trajectory(torch.from_numpy(table.position_angstrom[rows]), time)
    euler = continuous_euler(torch.from_numpy(table.euler_deg[rows]).deg2rad())
    turn = matrix_from_euler(evaluate_trajectory(euler, time))
    view, used = geometry.project(place), series.use_tilt
    return {
        "xy": view.xy_angstrom[:, used].numpy(),
        "rotation": geometry.orient(turn, place)[:, used].numpy(),
        "defocus_um": view.defocus_um[:, used].numpy(),
    }


def shown_by_relion(
    folder: Path, name: str, root: Path | None = None, image: tuple[int, int] = IMAGE
) -> dict[str, np.ndarray]:
    """The same of RELION's files, by RELION's own rules, restated here plainly and apart from mlit.

    Tilts are in the order of the file. Names count from ``root``, the folder that RELION is started in.
    """
    tomograms = read_star(folder / "tomograms.star")["global"].set_index("rlnTomoName").loc[name]
    tilts = read_star((root or folder) / tomograms["rlnTomoTiltSeriesStarFile"])[name].apply(as_numbers)
    particles = read_star(folder / "particles.star")["particles"]
    particles = particles[particles["rlnTomoName"] == name].apply(as_numbers)
    motions = read_star(folder / "motion.star")
    pixel = float(tomograms["rlnTomoTiltSeriesPixelSize"])
    size = np.array([float(tomograms[f"rlnTomoSize{axis}"]) for axis in "XYZ"])
    out = {"xy": [], "rotation": [], "defocus_um": []}
    for _, one in particles.iterrows():
        motion = motions[one["rlnTomoParticleName"]].astype(float).to_numpy()
        own = active("z", -one["rlnAnglePsi"]) @ active("y", -one["rlnAngleTilt"]) @ active("z", -one["rlnAngleRot"])
        outer = np.eye(3)
        if "rlnTomoSubtomogramRot" in one:
            parts = [-float(one[f"rlnTomoSubtomogram{a}"]) for a in ("Psi", "Tilt", "Rot")]
            outer = active("z", parts[0]) @ active("y", parts[1]) @ active("z", parts[2])
        centred = np.array([one[f"rlnCenteredCoordinate{axis}Angst"] for axis in "XYZ"])
        centred = centred - outer @ [one[f"rlnOrigin{axis}Angst"] for axis in "XYZ"]
        xy, turns, defoci = [], [], []
        for tilt, (_, row) in enumerate(tilts.iterrows()):
            turn = active("z", row["rlnTomoZRot"]) @ active("y", row["rlnTomoYTilt"])
            turn = turn @ active("x", row.get("rlnTomoXTilt", 0.0))
            at = (centred + motion[tilt]) / pixel + size / 2 - size // 2
            shift = np.array([row["rlnTomoXShiftAngst"], row["rlnTomoYShiftAngst"]]) / pixel
            straight = (turn @ at)[:2] + shift + np.array(image) // 2
            if "rlnTomoDeformationType" in tomograms:
                numbers = [float(n) for n in row["rlnTomoDeformationCoefficients"].strip("[]").split(",")]
                straight = straight + deformed(tomograms["rlnTomoDeformationType"], numbers, straight, image)
            xy.append(straight * pixel)
            turns.append(turn @ outer @ own)
            depth = float(tomograms["rlnTomoHand"]) * (turn @ centred)[2]
            defoci.append(1e-4 * ((row["rlnDefocusU"] + row["rlnDefocusV"]) / 2 + depth))
        out["xy"].append(xy)
        out["rotation"].append(turns)
        out["defocus_um"].append(defoci)
    return {key: np.array(value) for key, value in out.items()}


def deformed(kind: str, numbers: list[float], at: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """Displacement of a point, in pixels, on a grid of 3 × 3 points."""
    if kind == "linear":
        x, y = at[0] - image[0] / 2, at[1] - image[1] / 2
        return np.array([numbers[0] * x, numbers[1] * x + numbers[2] * y])
    if kind == "Fourier":
        waves = [(1, 0), (1, -2), (1, -1)]
        phases = [np.pi * (a * at[0] / image[0] + b * at[1] / image[1]) for a, b in waves]
        terms = np.array([f(phase) for phase in phases for f in (np.cos, np.sin)])
        return np.array([terms @ numbers[:6], terms @ numbers[6:]])
    points = np.array(numbers).reshape(2, 3, 3, 4)
    place = np.clip(at / np.array(image) * 2, 0, 2 - 1e-10)
    (i, j), (u, v) = place.astype(int), place % 1
    total = np.zeros(2)
    for dy, (value_y, slope_y) in enumerate(hermite(v)):
        for dx, (value_x, slope_x) in enumerate(hermite(u)):
            value, along_x, along_y, twist = np.moveaxis(points[:, j + dy, i + dx], -1, 0)
            total = total + value * value_x * value_y + along_x * slope_x * value_y
            total = total + along_y * value_x * slope_y + twist * slope_x * slope_y
    return total


def hermite(u: float) -> list[tuple[float, float]]:
    """Weights of value and slope at both ends of a unit interval."""
    return [(1 - 3 * u**2 + 2 * u**3, u - 2 * u**2 + u**3), (3 * u**2 - 2 * u**3, u**3 - u**2)]


def as_numbers(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    return column if numbers.isna().any() else numbers


def active(axis: str, degrees: float) -> np.ndarray:
    """Right-handed rotation about an axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis])


def differences(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[float, float, float]:
    """Root mean squares: positions in Å, orientations in degrees, and the greatest difference of defocus in nm."""
    place = np.sqrt(np.square(one["xy"] - other["xy"]).sum(-1).mean())
    turn = np.einsum("...ij,...kj->...ik", one["rotation"], other["rotation"])
    angle = np.rad2deg(np.sqrt(np.square(turn - np.eye(3)).sum((-1, -2)).mean() / 2))
    return float(place), float(angle), float(1e3 * np.abs(one["defocus_um"] - other["defocus_um"]).max())


def write_relion_project(root: Path, *, odd: bool = False, stack: bool = True, kind: str = "Fourier") -> Path:
    """Write a project as RELION's own jobs leave it, with everything that it can store; return its optimisation set."""
    rng = np.random.default_rng(11)
    image = (IMAGE[0] + odd, IMAGE[1] + odd)
    size = (66 + odd, 50 + odd, 30 + odd)
    angle = np.linspace(-45, 45, 7)
    order = rng.permutation(len(angle))
    job = root / "Polish" / "job030"
    names = [f"00000{i + 1}@stacks/TS_01.mrcs" if stack else f"MotionCorr/TS_01_{i}.mrc" for i in range(len(angle))]
    pixels = rng.normal(0, 1, (len(angle), *image[::-1]))
    if stack:
        write_mrc(root / "stacks" / "TS_01.mrcs", pixels, PIXEL)
    else:
        for name, one in zip(names, pixels, strict=True):
            write_mrc(root / name, one, PIXEL)
    counts = {"linear": 3, "Fourier": 12, "spline": 72}
    coefficients = rng.normal(0, 0.02 if kind == "linear" else 0.4, (len(angle), counts[kind]))
    tilts = {
        "rlnMicrographMovieName": [f"frames/{i}.tif" for i in range(len(angle))],
        "rlnMicrographName": names,
        "rlnMicrographPreExposure": 3.0 * np.argsort(np.argsort(np.abs(angle)))[order],
        "rlnDefocusU": rng.normal(30000, 500, len(angle)),
        "rlnDefocusV": rng.normal(30000, 500, len(angle)),
        "rlnDefocusAngle": rng.uniform(-90, 90, len(angle)),
        "rlnPhaseShift": np.full(len(angle), 12.5),
        "rlnTomoXTilt": rng.normal(0.4, 0.3, len(angle)),
        "rlnTomoYTilt": angle[order] + 0.1,
        "rlnTomoZRot": rng.normal(85, 0.2, len(angle)),
        "rlnTomoXShiftAngst": rng.normal(0, 20, len(angle)),
        "rlnTomoYShiftAngst": rng.normal(0, 20, len(angle)),
        "rlnCtfScalefactor": rng.uniform(0.3, 1, len(angle)),
        "rlnTomoDeformationCoefficients": ["[" + ",".join(f"{v:.9f}" for v in row) + "]" for row in coefficients],
    }
    write_star(job / "tilt_series" / "TS_01.star", {"TS_01": pd.DataFrame(tilts)}, decimals=9)
    tomogram = {
        "rlnTomoName": "TS_01",
        "rlnVoltage": "300.0",
        "rlnSphericalAberration": "2.7",
        "rlnAmplitudeContrast": "0.1",
        "rlnTomoHand": "-1.0",
        "rlnOpticsGroupName": "optics1",
        "rlnTomoTiltSeriesPixelSize": str(PIXEL),
        "rlnTomoTiltSeriesStarFile": "Polish/job030/tilt_series/TS_01.star",
        "rlnEtomoDirectiveFile": "external/TS_01.edf",
        **{f"rlnTomoSize{axis}": str(side) for axis, side in zip("XYZ", size, strict=True)},
        "rlnTomoDeformationGridSizeX": "3",
        "rlnTomoDeformationGridSizeY": "3",
        "rlnTomoDeformationType": kind,
    }
    write_star(job / "tomograms.star", {"global": pd.DataFrame([tomogram], dtype=object)})
    extent = np.array(size) * PIXEL
    particles = {
        "rlnTomoName": ["TS_01"] * PARTICLES,
        "rlnTomoParticleName": [f"TS_01/{i + 3}" for i in range(PARTICLES)],
        **{
            f"rlnCenteredCoordinate{a}Angst": rng.uniform(-0.3, 0.3, PARTICLES) * e
            for a, e in zip("XYZ", extent, strict=True)
        },
        **{f"rlnOrigin{a}Angst": rng.normal(0, 3, PARTICLES) for a in "XYZ"},
        **{f"rlnAngle{a}": rng.uniform(20, 160, PARTICLES) for a in ("Rot", "Tilt", "Psi")},
        **{f"rlnTomoSubtomogram{a}": rng.uniform(20, 160, PARTICLES) for a in ("Rot", "Tilt", "Psi")},
        "rlnRandomSubset": [str(1 + i % 2) for i in range(PARTICLES)],
        "rlnOpticsGroup": ["1"] * PARTICLES,
        "rlnLogLikeliContribution": rng.normal(1e6, 10, PARTICLES),
    }
    optics = {
        "rlnOpticsGroup": ["1"],
        "rlnOpticsGroupName": ["optics1"],
        "rlnTomoTiltSeriesPixelSize": [str(PIXEL)],
        "rlnOddZernike": ["[1,2,30,0,-40,12]"],
        "rlnEvenZernike": ["[0.1,0,3,0,20,0,0,5,0]"],
        "rlnImageSize": ["192"],
    }
    tables = {"optics": pd.DataFrame(optics, dtype=object), "particles": pd.DataFrame(particles)}
    write_star(job / "particles.star", tables, decimals=9)
    motions: dict[str, pd.DataFrame] = {"general": pd.DataFrame({"rlnParticleNumber": [str(PARTICLES)]}, dtype=object)}
    motions["general"].attrs["star_list"] = True
    for name in particles["rlnTomoParticleName"]:
        walk = rng.normal(0, 1, (len(angle), 3)).cumsum(0)
        motions[name] = pd.DataFrame(walk, columns=[f"rlnOrigin{axis}Angst" for axis in "XYZ"])
    write_star(job / "motion.star", motions)
    files = {
        "rlnTomoParticlesFile": "particles",
        "rlnTomoTomogramsFile": "tomograms",
        "rlnTomoTrajectoriesFile": "motion",
    }
    chosen = pd.DataFrame({label: [f"Polish/job030/{name}.star"] for label, name in files.items()}, dtype=object)
    chosen.attrs["star_list"] = True
    write_star(job / "optimisation_set.star", {"": chosen})
    return job / "optimisation_set.star"
