"""A deterministic simulation of directors that elect a master over a bad network.

Virtual time, one random generator for each world: a seed says everything that happens in it, so
every finding can be played again (`python -m tests.sim --seed N --trace`). The election and the
packet code are the real ones; network, clocks, processes and faults are simulated.
"""
