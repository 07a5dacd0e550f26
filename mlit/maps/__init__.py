"""Reconstruction, masks, resolution and filters."""
