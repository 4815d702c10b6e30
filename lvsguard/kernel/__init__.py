"""DOES: the only room that writes to Linux (IPVS, addresses, links, kernel settings)."""
