"""RUNS the house: builds the parts, starts and stops them in order, reloads, tells systemd."""

from lvsguard.daemon.run import Options, offline_steps, run

__all__ = ["Options", "offline_steps", "run"]
