"""OWNS the facts: wake, read, desired, plan, apply, publish. The only writer of IPVS."""

from lvsguard.controller.loop import Controller

__all__ = ["Controller"]
