"""Contrast transfer and radiation damage."""
