"""All parameters of one tilt series, and the views of its particles that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mlit.deformation.block import Block
from mlit.deformation.hyper_layout import HyperLayout
from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import ODD, VIEW_COORDINATES, Coordinate, View, aberrations, local_tangent
from mlit.deformation.poses import Poses

VIEWS_PER_CHUNK = 1 << 17  # images times directions differentiated at once; bounds memory


@dataclass(frozen=True)
class Jacobians:
    """Derivatives of the watched local coordinates of every image by the raw parameters that act on it.

    Attributes
    ----------
    poses
        By the parameters of the particle.
    hyper
        By the hyperparameters listed in ``columns``.
    columns
        For each tilt, the hyperparameters that act on it.
    """

    poses: Float[Tensor, "particle tilt coordinate pose"]
    hyper: Float[Tensor, "particle tilt coordinate column"]
    columns: Int[Tensor, "tilt column"]


class SeriesModel(nn.Module):
    """Poses and hyperparameters of one tilt series.

    Parameters
    ----------
    imaging
        Starting geometry and optics.
    poses
        Poses of the particles.
    blocks
        Blocks of hyperparameters, in the order of their columns.
    """

    def __init__(self, imaging: Imaging, poses: Poses, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.start = imaging
        self.poses = poses
        self.blocks = nn.ModuleDict({block.name: block for block in blocks})

    @property
    def block_list(self) -> list[Block]:
        """All blocks."""
        return list(self.blocks.values())  # type: ignore[arg-type]

    @property
    def active_blocks(self) -> list[Block]:
        """Blocks that are being refined, in the order of their columns; the others keep their values."""
        return [block for block in self.block_list if block.raw.requires_grad]

    def take_over(self, other: "SeriesModel") -> None:
        """Start from the poses of another model of the same series, and from the blocks that both have, in place."""
        self.poses.load_state_dict(other.poses.state_dict())
        for block in self.block_list:
            if block.name in other.blocks:
                block.take_over(other.blocks[block.name])  # type: ignore[arg-type]

    def activate(self, names: Sequence[str]) -> None:
        """Refine the named blocks (``poses`` for the particles) and hold the others."""
        self.poses.raw.requires_grad_("poses" in names)
        for block in self.block_list:
            block.raw.requires_grad_(block.name in names)

    @property
    def hyper(self) -> Float[Tensor, " hyper"]:
        """The hyperparameters being refined, in one vector."""
        active: list[Tensor] = [block.raw for block in self.active_blocks]
        return torch.cat(active) if active else self.poses.raw.new_zeros(0)

    def split(self, hyper: Float[Tensor, " hyper"]) -> list[tuple[Block, Tensor]]:
        """Pair the active blocks with their parts of a vector."""
        active = self.active_blocks
        return list(zip(active, hyper.split([block.raw.numel() for block in active]), strict=True))

    @property
    def coordinates(self) -> list[int]:
        """Local coordinates that the active parameters can change: those of every image, then some of the tilts."""
        moved = {index for block in self.active_blocks for group in block.moves for index in group.value}
        return [*range(VIEW_COORDINATES), *sorted(moved - set(range(VIEW_COORDINATES)))]

    @property
    def changes_ctf(self) -> bool:
        """Whether the active parameters can change the CTF of an image."""
        groups = [group.value for block in self.active_blocks for group in block.moves]
        return any(Coordinate.DEFOCUS.value.start <= group.start < ODD.start for group in groups)

    def imaging_at(self, hyper: Float[Tensor, " hyper"]) -> Imaging:
        """Geometry and optics for given hyperparameters."""
        given = {block.name: raw for block, raw in self.split(hyper)}
        imaging = self.start
        for block in self.block_list:
            imaging = block.deform(imaging, given.get(block.name, block.raw.detach()))
        return imaging

    def imaging(self) -> Imaging:
        """Present geometry and optics."""
        return self.imaging_at(self.hyper.detach())

    def view_at(self, poses: Float[Tensor, "particle pose"], hyper: Float[Tensor, " hyper"]) -> View:
        """Return the views of all particles for given raw values; differentiable."""
        imaging = self.imaging_at(hyper)
        geometry = imaging.geometry
        position, rotation = self.poses.at(poses)
        projection = geometry.project(position)
        return View(
            projection.xy_angstrom, geometry.orient(rotation, position), projection.defocus_um, aberrations(imaging)
        )

    def forward(self) -> View:
        """Return the views of all particles for the present parameters."""
        return self.view_at(self.poses.raw, self.hyper)

    def penalty(self, weight: Float[Tensor, " particle"]) -> Float[Tensor, ""]:
        """Negative log-prior of the present parameters, up to a constant; poses times the weight of the particle."""
        total = weight @ self.poses.raw.square().sum(1) / 2
        for block in self.block_list:
            total = total + block.prior.penalty(block.raw)
        return total

    @torch.no_grad()
    def jacobians(self) -> Jacobians:
        """Differentiate the watched local coordinates of all images, by forward-mode automatic differentiation.

        Every parameter acts on few images: all particles are differentiated at once by their own parameters,
        and all tilts at once by theirs, so the number of sweeps is the number of parameters of one particle
        plus those of one tilt.
        """
        poses, hyper = self.poses.raw.detach(), self.hyper.detach()
        view = self.view_at(poses, hyper)
        seeds, columns = self._seeds(hyper)
        watched, chunk = self.coordinates, max(1, VIEWS_PER_CHUNK // view.defocus_um.numel())

        def sweep(pose_seed: Tensor, hyper_seed: Tensor) -> Tensor:
            def flat(p: Tensor, h: Tensor) -> tuple[Tensor, ...]:
                v = self.view_at(p, h)
                return v.xy_angstrom, v.rotation, v.defocus_um, v.aberrations

            tangent = torch.func.jvp(flat, (poses, hyper), (pose_seed, hyper_seed))[1]
            return local_tangent(view, View(*tangent))[..., watched]

        if self.poses.raw.requires_grad:
            pose_seeds = torch.eye(poses.shape[1], dtype=poses.dtype)[:, None, :].expand(-1, len(poses), -1)
            by_pose = torch.vmap(sweep, in_dims=(0, None), chunk_size=chunk)(pose_seeds, torch.zeros_like(hyper))
        else:
            by_pose = poses.new_zeros(poses.shape[1], *view.defocus_um.shape, len(watched))
        if len(seeds):
            by_hyper = torch.vmap(sweep, in_dims=(None, 0), chunk_size=chunk)(torch.zeros_like(poses), seeds)
        else:
            by_hyper = by_pose[:0]
        return Jacobians(by_pose.movedim(0, -1).contiguous(), by_hyper.movedim(0, -1).contiguous(), columns)

    def layout(self) -> HyperLayout:
        """Places of the active hyperparameters."""
        return HyperLayout.of(self.active_blocks, self.start.geometry.tilts)

    def _seeds(self, hyper: Tensor) -> tuple[Float[Tensor, "column hyper"], Int[Tensor, "tilt column"]]:
        """One direction for each column of the blocks, and the parameters that it stands for in each tilt."""
        columns = self.layout().columns
        seeds = hyper.new_zeros(columns.shape[1], hyper.numel())
        for j in range(columns.shape[1]):
            seeds[j, columns[:, j]] = 1
        return seeds, columns
