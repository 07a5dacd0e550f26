"""Projects, run directories and what is in them."""
