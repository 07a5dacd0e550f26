"""Files to plain dataclasses and back."""
