import torch

from mlit.deformation.carried_poses import CarriedPoses
from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.trajectories import MOST_REFINED, Trajectories, make_poses
from mlit.geometry.rotations import matrix_from_euler, rotvec_from_matrix


def paths(samples, tilts=11, particles=4):
    generator = torch.Generator().manual_seed(3)
    place = torch.rand(particles, samples, 3, generator=generator, dtype=torch.float64) * 10 + 500
    euler = torch.rand(particles, 1, 3, generator=generator, dtype=torch.float64).repeat(1, samples, 1) + 0.5
    return place, euler, torch.linspace(0, 1, tilts, dtype=torch.float64)


def test_many_samples_are_carried_and_few_refined():
    prior = PosePrior(10.0, 10.0, 3.0, 1.0)
    many = make_poses(*paths(MOST_REFINED + 1), prior, 1)
    assert isinstance(many, CarriedPoses)
    assert many.raw.shape == (4, 6)
    assert many.samples == MOST_REFINED + 1
    assert isinstance(make_poses(*paths(MOST_REFINED), prior, 1), Trajectories)
    assert isinstance(make_poses(*paths(2), prior, MOST_REFINED + 4), Trajectories)


def test_the_start_is_the_path_itself():
    place, euler, time = paths(11)
    poses = CarriedPoses(place, euler, time, PosePrior(10.0, 10.0, 3.0, 1.0))
    position, rotation = poses.at(poses.raw)
    torch.testing.assert_close(position, place)
    torch.testing.assert_close(rotation, matrix_from_euler(euler))


def test_a_deviation_moves_and_turns_the_whole_path():
    place, euler, time = paths(11)
    poses = CarriedPoses(place, euler, time, PosePrior(10.0, 10.0, 3.0, 1.0))
    raw = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shift, turn = (part[:, 0] for part in poses.deviation(raw))
    for position, rotation in (poses.at(raw), poses.at_samples(raw)):
        torch.testing.assert_close(position - place, shift[:, None].expand(-1, 11, -1))
        found = rotvec_from_matrix(rotation @ matrix_from_euler(euler).transpose(-1, -2))
        torch.testing.assert_close(found, turn[:, None].expand(-1, 11, -1))


def test_paths_follow_the_frame_of_the_reference():
    place, euler, time = paths(11)
    poses = CarriedPoses(place, euler, time, PosePrior(10.0, 10.0, 3.0, 1.0))
    which = torch.tensor([True, False, True, False])
    poses.follow(which, torch.eye(3), torch.tensor([1.0, 2.0, 3.0]))
    moved = (poses.at(poses.raw)[0] - place).norm(dim=-1)
    torch.testing.assert_close(moved[which], torch.full((2, 11), 14.0, dtype=torch.float64).sqrt())
    assert not moved[~which].any()
