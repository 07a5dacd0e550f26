"""Alignments of AreTomo."""
