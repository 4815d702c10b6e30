"""Configs that tests share, and the host that they are read on."""

from __future__ import annotations

from ipaddress import ip_interface
from pathlib import Path

from lvsguard.config.review import Interfaces

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "config.example.toml"
INVALID = ROOT / "tests" / "golden" / "config"

HOST: Interfaces = {
    "lo": [ip_interface("127.0.0.1/8"), ip_interface("::1/128")],
    "eth0": [ip_interface("10.0.0.41/24"), ip_interface("2001:db8::41/64")],
    "eth1": [],
}
"""The director 10.0.0.41."""

HEAD = """
[director]
interface = "eth0"

[[vip]]
name = "web"
addresses = ["10.0.0.8/24", "2001:db8::8/64"]
"""
SERVICE = HEAD + '\n[[service]]\nname = "web"\naddress = "10.0.0.8:80"\n'
REALSERVERS = """
[[service.realserver]]
address = "10.0.0.42"

[[service.realserver]]
address = "10.0.0.43"
"""
PLAIN = SERVICE + REALSERVERS
"""The seed network with every default."""
