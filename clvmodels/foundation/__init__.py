"""Floor 0: records, array operations, quadrature, random streams, units and errors."""
