"""Agreement between tilt images and projections of a reference."""
