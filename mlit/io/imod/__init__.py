"""Alignments of IMOD: transforms, angles, local alignments and the command file of `tilt`."""
