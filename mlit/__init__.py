"""Refine cryo-electron tilt series against the molecules inside them."""
