"""Transforms, shells, slices and insertion."""
