"""Parameter blocks of a tilt series and of its particles."""
