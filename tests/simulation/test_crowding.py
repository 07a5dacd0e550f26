import numpy as np
import torch

from mlit.simulation.config_errors import DeformationConfig
from mlit.simulation.config_images import MicroscopeConfig, TiltSchemeConfig
from mlit.simulation.crowding import fill_slab, make_crowd_shapes, view_crowd
from mlit.simulation.deformations import draw_geometry
from mlit.simulation.tilt_scheme import dose_symmetric_scheme

SIZE = torch.tensor([1728.0, 1728.0, 800.0], dtype=torch.float64)


def make_crowd(fraction=0.05):
    rng = np.random.default_rng(0)
    keep_out = torch.tensor([[864.0, 864.0, 400.0]], dtype=torch.float64)
    extent = np.array([4000.0, 4000.0, 400.0])
    return fill_slab(make_crowd_shapes(80.0, rng), fraction, extent, SIZE.numpy() / 2, keep_out, 150.0, rng)


def test_crowd_fills_the_share_and_keeps_out_of_particles():
    crowd = make_crowd()
    filled = len(crowd.shape_index) * 0.55 * np.pi / 6 * 80.0**3 / (4000.0 * 4000.0 * 400.0)
    assert abs(filled - 0.05) < 0.002
    assert (crowd.position_angstrom - SIZE / 2).norm(dim=-1).min() > 150.0


def test_view_shows_beads_where_the_geometry_puts_their_molecules():
    crowd = make_crowd()
    scheme = dose_symmetric_scheme(TiltSchemeConfig((30.0,), (30.0,)), 0, np.random.default_rng(0))
    geometry = draw_geometry(scheme, DeformationConfig(), MicroscopeConfig(), SIZE, np.random.default_rng(1)).true
    views = view_crowd(crowd, geometry, 100.0)
    xy, defocus = geometry.project(crowd.position_angstrom)
    for tilt, view in enumerate(views):
        inside = ((xy[:, tilt] > 0) & (xy[:, tilt] < 1728.0)).all(-1)
        to_centre = torch.cdist(view.beads.xy_angstrom, xy[:, tilt].float())
        assert to_centre.amin(1).max() <= 41.0
        assert to_centre.amin(0)[inside].max() < 40.0
        assert view.beads.row.max() == len(view.layer_defocus_um) - 1
        assert view.layer_defocus_um.min() > defocus[:, tilt].min() - 0.06
        assert view.layer_defocus_um.max() < defocus[:, tilt].max() + 0.06
