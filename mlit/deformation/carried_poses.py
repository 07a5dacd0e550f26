"""Particles on a path that is given: they are moved and turned as a whole."""

from jaxtyping import Float
from torch import Tensor

from mlit.deformation.pose_prior import PosePrior
from mlit.deformation.poses import Poses
from mlit.geometry.rotations import matrix_from_euler, matrix_from_rotvec
from mlit.geometry.trajectory import evaluate_trajectory, resample_trajectory


class CarriedPoses(Poses):
    """One deviation of each particle from a path over the exposure that another program has found.

    A path with a sample for each tilt, as RELION's polishing leaves it, has too many of them to be refined one by one.

    Parameters
    ----------
    position_angstrom, euler_rad
        Starting samples, at least two.
    time
        Normalised dose of each tilt.
    prior
        How far off the paths may be.
    """

    def __init__(
        self,
        position_angstrom: Float[Tensor, "particle sample 3"],
        euler_rad: Float[Tensor, "particle sample 3"],
        time: Float[Tensor, " tilt"],
        prior: PosePrior,
    ) -> None:
        middle = resample_trajectory(position_angstrom, 1)[:, 0], resample_trajectory(euler_rad, 1)[:, 0]
        super().__init__(middle[0], matrix_from_euler(middle[1]), prior)
        given = {
            "sample_angstrom": position_angstrom,
            "sample_rotation": matrix_from_euler(euler_rad),
            "tilt_angstrom": evaluate_trajectory(position_angstrom, time),
            "tilt_rotation": matrix_from_euler(evaluate_trajectory(euler_rad, time)),
        }
        for name, value in given.items():
            self.register_buffer(name, value, persistent=False)

    @property
    def samples(self) -> int:
        """Number of poses of each particle over the exposure."""
        return self.get_buffer("sample_angstrom").shape[1]

    def at(self, raw: Float[Tensor, "particle pose"]) -> tuple[Tensor, Tensor]:
        """Positions (Å) and orientations for given raw values, one for each tilt, ``"particle tilt 3 [3]"``."""
        return self._moved(raw, "tilt")

    def at_samples(
        self, raw: Float[Tensor, "particle pose"]
    ) -> tuple[Float[Tensor, "particle sample 3"], Float[Tensor, "particle sample 3 3"]]:
        """Positions (Å) and orientations of all samples, as a particle table has them."""
        return self._moved(raw, "sample")

    def _moved(self, raw: Float[Tensor, "particle pose"], where: str) -> tuple[Tensor, Tensor]:
        shift, turn = self.deviation(raw)
        rotation = matrix_from_rotvec(turn) @ self.get_buffer(f"{where}_rotation")
        return self._in_frame(self.get_buffer(f"{where}_angstrom") + shift, rotation)
