"""ELECTS and owns the VIP addresses: the only room that decides when an address is written."""
