"""Files of M: population, data source, species."""
