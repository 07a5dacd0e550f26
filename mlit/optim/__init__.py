"""Solvers that know nothing of what their parameters mean."""
