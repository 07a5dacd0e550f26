"""Wrong input ends with exit code 2 and one line that names it and says what to do."""

import re

import numpy as np
import pytest

from mlit.io.mrc import write_mrc
from mlit.io.star import read_star, write_star


def with_words(*words):
    return lambda project: list(words)


def without_settings(project):
    project.settings.unlink()


def without_particles(project):
    project.particles.unlink()


def damaged_settings(project):
    project.settings.write_bytes(project.settings.read_bytes()[:100])


def damaged_particles(project):
    text = project.particles.read_text().rstrip().splitlines()
    project.particles.write_text("\n".join([*text[:-1], text[-1].rsplit("\t", 2)[0]]) + "\n")


def particles_without_numbers(project):
    blocks = read_star(project.particles)
    table = blocks["particles"].astype({"rlnCoordinateX": object})
    table.loc[3, "rlnCoordinateX"] = "here"
    write_star(project.particles, blocks | {"particles": table})


def tilt_counts_that_disagree(project):
    for name in ("TS_01", "TS_02"):
        path = project.root / "tomostar" / f"{name}.tomostar"
        path.write_text("\n".join(path.read_text().rstrip().splitlines()[:-1]) + "\n")


def particles_of_another_project(project):
    project.particles.write_text(project.particles.read_text().replace("TS_0", "Position_"))


def one_half_set_only(project):
    blocks = read_star(project.particles)
    write_star(project.particles, blocks | {"particles": blocks["particles"].assign(rlnRandomSubset=1)})


def flat_half_maps(project):
    for name in ("a.mrc", "b.mrc"):
        write_mrc(project.root / name, np.zeros((8, 8), dtype=np.float32)[None], 8.0)
    return [f"species.half_maps=[{project.root}/a.mrc,{project.root}/b.mrc]"]


def half_map_that_is_text(project):
    (project.root / "a.mrc").write_text("no map at all\n" * 200)
    return [f"species.half_maps=[{project.root}/a.mrc,{project.root}/a.mrc]"]


def one_half_map(project):
    write_mrc(project.root / "a.mrc", np.ones((8, 8, 8), dtype=np.float32), 8.0)
    return [f"species.half_maps=[{project.root}/a.mrc]"]


def half_maps_of_nothing(project):
    write_mrc(project.root / "a.mrc", np.zeros((32, 32, 32), dtype=np.float32), 8.0)
    return [f"species.half_maps=[{project.root}/a.mrc,{project.root}/a.mrc]"]


def half_maps_not_finite(project):
    write_mrc(project.root / "a.mrc", np.ones((32, 32, 32), dtype=np.float32), 8.0)
    raw = bytearray((project.root / "a.mrc").read_bytes())
    raw[-200:-196] = np.float32(np.nan).tobytes()
    (project.root / "a.mrc").write_bytes(bytes(raw))
    return [f"species.half_maps=[{project.root}/a.mrc,{project.root}/a.mrc]"]


def empty_mask(project):
    write_mrc(project.root / "mask.mrc", np.zeros((32, 32, 32), dtype=np.float32), 8.0)
    return [f"species.mask={project.root}/mask.mrc"]


def mask_that_is_no_cube(project):
    write_mrc(project.root / "mask.mrc", np.ones((16, 32, 32), dtype=np.float32), 8.0)
    return [f"species.mask={project.root}/mask.mrc"]


CASES = {
    "missing settings": (without_settings, r"warp_tiltseries\.settings"),
    "missing particles": (without_particles, r"particles\.star"),
    "damaged settings": (damaged_settings, r"warp_tiltseries\.settings"),
    "damaged particles": (damaged_particles, r"particles\.star"),
    "particles without numbers": (particles_without_numbers, r"particles\.star.*rlnCoordinateX"),
    "tilt counts that disagree": (tilt_counts_that_disagree, r"lists 12 tilts.*has 13.*again"),
    "particles of another project": (particles_of_another_project, r"Position_1.*correct the names"),
    "one half set only": (one_half_set_only, r"no particle is in half set 2.*assigned"),
    "unknown symmetry": (with_words("species.symmetry=C0"), r"symmetry.*C0.*use C1"),
    "another unknown symmetry": (with_words("species.symmetry=Q7"), r"symmetry.*Q7.*use C1"),
    "one unit of a helix": (with_words("species.helical_rise=5"), r"helical_units=1.*2 or more"),
    "helix without a rise": (with_words("species.helical_units=3"), r"helical_rise=0.*above zero.*hand"),
    "helix in a small box": (
        with_words("species.helical_units=4", "species.helical_rise=40", "species.box=36"),
        r"helical_units=4.*half of the box.*larger species\.box",
    ),
    "diameter of zero": (with_words("species.diameter=0"), r"species\.diameter=0.*above zero"),
    "negative diameter": (with_words("species.diameter=-170"), r"species\.diameter=-170.*above zero"),
    "diameter in nanometres": (with_words("species.diameter=17"), r"species\.diameter=17.*in Å"),
    "diameter beyond the volume": (with_words("species.diameter=9000"), r"species\.diameter=9000.*1024.*in Å"),
    "pixel size of zero": (with_words("species.pixel_size_angstrom=0"), r"pixel_size_angstrom=0.*above zero"),
    "name of several folders": (with_words("species.name=../elsewhere"), r"species\.name=.*elsewhere.*name"),
    "flat half maps": (flat_half_maps, r"a\.mrc.*cubic"),
    "half map that is text": (half_map_that_is_text, r"a\.mrc"),
    "one half map": (one_half_map, r"species\.half_maps.*two files"),
    "missing half maps": (with_words("species.half_maps=[x1.mrc,x2.mrc]"), r"x1\.mrc"),
    "half maps of nothing": (half_maps_of_nothing, r"a\.mrc"),
    "half maps that are not finite": (half_maps_not_finite, r"a\.mrc.*finite"),
    "empty mask": (empty_mask, r"mask\.mrc.*empty"),
    "mask that is no cube": (mask_that_is_no_cube, r"mask\.mrc.*cubic"),
    "missing mask": (with_words("species.mask=nowhere.mrc"), r"nowhere\.mrc"),
    "unknown block": (
        with_words("schedule.iterations=[{resolution_angstrom: null, blocks: [pose]}]"),
        r"no block 'pose'.*poses",
    ),
    "resolution of zero": (
        with_words("schedule.iterations=[{resolution_angstrom: 0, blocks: [poses]}]"),
        r"resolution_angstrom=0.*above zero",
    ),
    "prior without width": (with_words("model.poses.position_prior_angstrom=0"), r"position_prior_angstrom=0"),
    "grid without nodes": (with_words("model.image_warp.grid=[0,4]"), r"image_warp\.grid"),
    "grid of one number": (with_words("model.image_warp.grid=[4]"), r"image_warp\.grid"),
    "series that does not exist": (with_words("data.series=XY*"), r"XY\*.*TS_01"),
    "excluded to the last": (with_words("data.exclude=[TS_01,TS_02]"), r"exclude.*fewer"),
    "misspelt key": (with_words("species.diametr=1"), r"diametr.*species\.diameter"),
}


@pytest.mark.parametrize("case", CASES)
def test_is_refused_in_one_line(broken, tmp_path, mlit, case):
    fault, message = CASES[case]
    words = fault(broken) or []
    line = mlit(*broken.command(tmp_path / "run", *words)).refusal()
    assert re.search(message, line), line
    assert len(line) < 600


@pytest.mark.parametrize("place", ["inside", "settings folder", "overwriting"])
def test_output_never_touches_the_input(broken, tmp_path, mlit, place):
    words = broken.command(broken.root / "run" if place == "inside" else broken.root)
    if place == "overwriting":
        moved = tmp_path / "run" / "particle" / "particles.star"
        moved.parent.mkdir(parents=True)
        broken.particles.rename(moved)
        words = [*broken.command(tmp_path / "run"), f"data.particles={moved}"]
        words.remove(f"data.particles={broken.particles}")
        before = moved.read_bytes()
    line = mlit(*words).refusal()
    assert "choose a folder outside" in line or "give another output" in line
    if place == "overwriting":
        assert moved.read_bytes() == before


def test_after_a_mistake_the_same_folder_can_be_used(project, tmp_path, mlit):
    output = tmp_path / "run"
    mlit(*project.command(output, "species.symmetry=Q7")).refusal()
    outcome = mlit(*project.command(output, "schedule=none"))
    assert outcome.code == 0, outcome.stderr
