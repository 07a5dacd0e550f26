"""Denoising of reference maps."""
