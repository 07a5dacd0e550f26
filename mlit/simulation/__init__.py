"""Tilt series with known truth."""
