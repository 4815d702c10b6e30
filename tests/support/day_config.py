"""The configuration of the day's directors."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    Config,
    HttpSpec,
    RealserverConfig,
    ServiceConfig,
    VipConfig,
)
from lvsguard.core.hook import HookConfig
from lvsguard.core.model import Protocol, RealserverKey, ServiceKey, VipAddress
from lvsguard.core.vrrp import VrrpConfig
from tests.support.day_script import SERVICES, VIPS, Service

TLS = 443
HOOK = HookConfig("chat", url="https://hooks.example.org/lvsguard")


def check(host: str, port: int) -> Check:
    """How a realserver is asked."""
    kind = CheckKind.HTTPS if port == TLS else CheckKind.HTTP
    spec = CheckSpec(kind, http=HttpSpec(path="/health"))
    return Check(ip_address(host), port, spec)


def config(director: str, digest: str) -> Config:
    """What a director's file says."""
    vips = tuple(
        VipConfig(name, (address(name),), VrrpConfig(50 + at)) for at, name in enumerate(VIPS, 1)
    )
    services = tuple(
        ServiceConfig(
            s.name,
            key(s),
            tuple(
                RealserverConfig(
                    host,
                    RealserverKey(ip_address(host), s.port),
                    checks=(check(host, s.port),),
                )
                for host in s.hosts
            ),
        )
        for s in SERVICES
    )
    return Config(director, "eth0", vips, services, digest, hooks=(HOOK,))


def address(vip: str) -> VipAddress:
    """Of a VIP group."""
    face = ip_interface(f"{VIPS[vip][0]}/24")
    return VipAddress("eth0", face.ip, face.network.prefixlen)


def key(s: Service) -> ServiceKey:
    """Of a service."""
    return ServiceKey.at(Protocol.TCP, address(s.vip).address, s.port)
