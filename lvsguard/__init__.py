"""lvsguard: Linux Virtual Server in direct-routing mode that people can trust."""

__version__ = "0.1.0"
