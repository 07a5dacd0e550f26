import math

import numpy as np
import pandas as pd
import pytest
import torch

from mlit.fourier.pixels import FourierPixels
from mlit.fourier.slices import ReferenceTable, slices
from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler, matrix_from_rotvec
from mlit.geometry.symmetry import coset_representatives, point_group
from mlit.geometry.trajectory import continuous_euler
from mlit.io.particle_table import ParticleTable
from mlit.maps.rigid_motion import RigidMotion
from mlit.project.moved_maps import moved_in_box
from mlit.project.particle_actions import expanded, moved, resampled, without_duplicates

N, PIXEL, COUNT = 32, 2.0, 12


def motion(rotvec_deg=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0)):
    rotvec = torch.tensor(rotvec_deg, dtype=torch.float64) * math.pi / 180
    return RigidMotion(matrix_from_rotvec(rotvec), torch.tensor(shift, dtype=torch.float64))


def rotations(table):
    return matrix_from_euler(torch.from_numpy(table.euler_deg).deg2rad())


@pytest.fixture(params=[1, 3])
def table(request):
    samples = request.param
    generator = torch.Generator().manual_seed(7)
    rotvec = torch.randn(COUNT, 1, 3, generator=generator, dtype=torch.float64)
    rotvec = rotvec + 0.05 * torch.randn(COUNT, samples, 3, generator=generator, dtype=torch.float64)
    euler = continuous_euler(euler_from_matrix(matrix_from_rotvec(rotvec))).rad2deg()
    position = 500 * torch.rand(COUNT, 1, 3, generator=generator, dtype=torch.float64)
    position = position + torch.randn(COUNT, samples, 3, generator=generator, dtype=torch.float64)
    return ParticleTable(
        series_name=np.array([f"S{i % 2}" for i in range(COUNT)], dtype=object),
        position_angstrom=position.numpy(),
        euler_deg=euler.numpy(),
        half_set=np.arange(COUNT) // 2 % 2 + 1,
        weight=np.ones(COUNT),
        source=pd.DataFrame({"mine": [str(i) for i in range(COUNT)], "mlitCoordinateErrorX1": ["1"] * COUNT}),
    )


def same(one, other):
    np.testing.assert_allclose(one.position_angstrom, other.position_angstrom, rtol=0, atol=1e-9)
    torch.testing.assert_close(rotations(one), rotations(other), rtol=0, atol=1e-9)


def test_identity_inverse_and_composition(table):
    g, h = motion((30, -50, 70), (3, 4, -9)), motion((-100, 5, 20), (1, -2, 6))
    same(moved(table, RigidMotion.identity()), table)
    there = moved(table, g)
    assert np.abs(there.position_angstrom - table.position_angstrom).max() > 1
    back = moved(there, g.inverse())
    same(back, table)
    np.testing.assert_allclose(back.euler_deg, table.euler_deg, rtol=0, atol=1e-9)
    same(moved(there, h), moved(table, g.then(h)))
    assert list(there.source.columns) == ["mine"]


def blob():
    """Random band-limited density well inside the box."""
    generator = torch.Generator().manual_seed(3)
    axis = torch.arange(N) - N // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    centres = 5 * (2 * torch.rand(12, 3, generator=generator) - 1)
    volume = torch.zeros(N, N, N)
    for cx, cy, cz in centres.tolist():
        volume += torch.exp(-((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / (2 * 1.6**2))
    return volume


def images(volume, table, direct):
    """Spectra of all particle images: by the projector, or by the sum over all voxels."""
    rotation = rotations(table)[:, 0]
    pixels = FourierPixels.inside(N, PIXEL, 6.0)
    if direct:
        axis = (torch.arange(N, dtype=torch.float64) - N // 2) * PIXEL
        k = torch.cat([pixels.frequency.double(), torch.zeros(pixels.count, 1)], 1)
        along = torch.einsum("pji,kj->pki", rotation, k)[..., None] * axis
        x, y, z = torch.exp(-2j * math.pi * along).unbind(2)
        flat = torch.einsum("zyx,pkx->pkzy", volume.to(x.dtype), x)
        values = torch.einsum("pkzy,pky,pkz->pk", flat, y, z)
    else:
        reference = ReferenceTable.from_maps(volume[None], PIXEL, gradient=False)
        read = slices(reference, torch.zeros(COUNT, dtype=torch.int64), rotation.float(), pixels)[:, :, 0]
        values = torch.complex(read[:, 0].double(), read[:, 1].double())
    phase = torch.from_numpy(table.position_angstrom[:, 0, :2]) @ pixels.frequency.double().T
    return values * torch.exp(-2j * math.pi * phase)


@pytest.mark.parametrize(
    ("change", "direct"),
    [
        (motion((0, 0, 90)), False),
        (motion((180, 0, 0)), False),
        (motion((0, 90, 0)), False),
        (motion((0, 0, 90), (4, -2, 6)), True),
        (motion((25, -40, 60), (1.5, 2.5, -3.5)), True),
    ],
)
def test_images_stay_the_same(change, direct, table):
    if direct:
        table = ParticleTable(*(getattr(table, f)[:3] for f in
                                ("series_name", "position_angstrom", "euler_deg", "half_set", "weight")))  # fmt: skip
    volume = blob()
    before = images(volume, table, direct)
    after = images(moved_in_box(volume, change, PIXEL), moved(table, change), direct)
    assert float((after - before).norm() / before.norm()) < 1e-3
    wrong = images(moved_in_box(volume, change, PIXEL), moved(table, change.inverse()), direct)
    assert change.angle_rad == pytest.approx(math.pi) or float((wrong - before).norm() / before.norm()) > 0.1


@pytest.mark.parametrize(
    ("group", "left", "copies"), [("D2", "C2", 2), ("D2", "C1", 4), ("O", "C4", 6), ("I", "C1", 60), ("T", "C3", 4)]
)
def test_expansion_makes_one_copy_for_each_coset(table, group, left, copies):
    result = expanded(table, coset_representatives(group, left))
    assert result.particles == copies * COUNT
    np.testing.assert_array_equal(result.half_set, np.repeat(table.half_set, copies))
    np.testing.assert_array_equal(result.source["mine"], np.repeat(table.source["mine"], copies))
    np.testing.assert_array_equal(result.position_angstrom, np.repeat(table.position_angstrom, copies, 0))
    # With the operators that are left, the copies are the poses that the whole group gives, each once.
    given = rotations(result)[:copies, 0, None] @ point_group(left)
    wanted = rotations(table)[0, 0] @ point_group(group)
    distance = (given.flatten(0, 1)[:, None] - wanted).abs().amax((-1, -2))
    assert ((distance < 1e-9).sum(0) == 1).all()
    assert ((distance < 1e-9).sum(1) == 1).all()


def test_images_of_copies_are_those_of_a_symmetric_map(table):
    turned = [
        moved_in_box(blob(), RigidMotion(g, torch.zeros(3, dtype=torch.float64)), PIXEL) for g in point_group("D2")
    ]
    volume = torch.stack(turned).sum(0)
    copies = expanded(table, coset_representatives("D2", "C2"))
    first, second = (
        ParticleTable(table.series_name, table.position_angstrom, copies.euler_deg[k::2], table.half_set, table.weight)
        for k in (0, 1)
    )
    before = images(volume, table, False)
    for copy in (first, second):
        assert float((images(volume, copy, False) - before).norm() / before.norm()) < 1e-3


def test_resampling_up_and_down(table):
    up = resampled(table, 5)
    assert up.samples == 5
    assert resampled(table, table.samples) is table
    if table.samples == 1:
        same(resampled(up, 1), table)
    else:  # samples 0, 2, 4 of five are those of three
        np.testing.assert_allclose(up.position_angstrom[:, ::2], table.position_angstrom, atol=1e-9)
        np.testing.assert_allclose(up.euler_deg[:, ::2], table.euler_deg, atol=1e-9)
        np.testing.assert_allclose(resampled(up, 1).position_angstrom[:, 0], table.position_angstrom[:, 1], atol=1e-9)


def test_duplicates_within_a_series_go():
    x = np.array([0.0, 4, 8, 100, 103, 0])
    table = ParticleTable(
        series_name=np.array(["A"] * 5 + ["B"], dtype=object),
        position_angstrom=np.stack([x, 0 * x, 0 * x], -1)[:, None],
        euler_deg=np.zeros((6, 1, 3)),
        half_set=np.array([1, 2, 1, 1, 1, 2]),
        weight=np.array([1.0, 1, 1, 0, 1, 1]),
    )
    thinned = without_duplicates(table, 5.0)
    assert thinned.table.position_angstrom[:, 0, 0].tolist() == [0, 8, 103, 0]  # 8 is near to one that went
    assert (thinned.dropped, thinned.across_half_sets) == (2, 1)
