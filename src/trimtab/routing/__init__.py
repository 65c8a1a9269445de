"""Which version a unit gets: the payload, the hash line, conditions and decisions. Pure."""
