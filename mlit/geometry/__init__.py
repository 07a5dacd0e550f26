"""Rotations, grids, tilt geometry and symmetry: coordinates only."""
