"""Measurements of mlit itself: what its solver saves, and how cost grows with the size of the data."""
