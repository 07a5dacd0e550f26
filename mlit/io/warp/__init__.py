"""Files of Warp and WarpTools."""
