"""From a Document without faults to the Config of one director. Defaults that depend are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from lvsguard.config.agent_schema import AgentTable
from lvsguard.config.check_rules import listed
from lvsguard.config.check_schema import ArpTable, CanaryTable, CheckTable
from lvsguard.config.cluster_rules import build_cluster
from lvsguard.config.hook_build import build_hooks
from lvsguard.config.ipvs_schema import SYSCTLS
from lvsguard.config.own_address import Facing, OwnAddresses
from lvsguard.config.remote_schema import RemoteTable
from lvsguard.config.review import Interfaces
from lvsguard.config.schema import Document, RealserverTable, ServiceTable, VipTable
from lvsguard.config.service_key import (
    can_be_watched,
    forwarding_of,
    persistence_of,
    port_of,
    service_key,
    sorry_server_of,
    tunnel_of,
)
from lvsguard.config.vrrp_build import build_peer, build_sync, build_vrrp
from lvsguard.core.agent import Agent, AgentSpec
from lvsguard.core.config import (
    ArpSpec,
    CanarySpec,
    Check,
    CheckKind,
    CheckSpec,
    Config,
    HttpSpec,
    IpvsSettings,
    OnFailure,
    RealserverConfig,
    ServiceConfig,
    TcpSpec,
    TlsSpec,
    Via,
    VipConfig,
    VipPath,
)
from lvsguard.core.health import Timing
from lvsguard.core.model import IPAddress, Protocol, RealserverKey, Tunnel, VipAddress
from lvsguard.core.remote import RemoteConfig

FAST_INTERVAL: Final = 0.05
T = TypeVar("T")


def build(
    document: Document,
    director: str,
    digest: str,
    interfaces: Interfaces | None = None,
    keys: Mapping[Path, bytes] | None = None,
) -> Config:
    """The config of ``director`` from a document in which nothing is wrong.

    ``interfaces``: addresses of this host, of which each check gets the one to ask from.
    ``keys``: what the files of keys and of the credential hold.
    """
    vips = {prefixed.address for vip in document.vip for prefixed in vip.addresses}
    facing = Facing(OwnAddresses(interfaces, vips))
    return _Builder(director, facing, keys or {}).config(document, digest)


class _Builder:
    """Resolves values that differ by director, for one of them."""

    def __init__(self, director: str, facing: Facing, keys: Mapping[Path, bytes]) -> None:
        self._director = director
        self._keys = keys
        self._facing = facing
        self._legs: set[str] = set()
        self._tunnelled: dict[tuple[CheckSpec, Tunnel], CheckSpec] = {}

    def config(self, document: Document, digest: str) -> Config:
        own = document.director
        interface = self._pick(own.interface)
        vips = tuple(self._vip(vip, interface) for vip in document.vip)
        services = tuple(self._service(service) for service in document.service)
        return Config(
            director=self._director,
            interface=interface,
            vips=vips,
            services=services,
            digest=digest,
            resync=self._pick(own.resync),
            removal_grace=self._pick(own.removal_grace),
            probers=self._pick(own.probers),
            on_stop=own.on_stop,
            ipvs=_ipvs(document),
            telemetry_listen=self._pick(document.telemetry.listen),
            status_page=document.telemetry.status_page,
            admin_socket=Path(document.admin.socket),
            admin_group=document.admin.group,
            state_directory=Path(document.state.directory),
            sync=build_sync(document.sync, self._director, interface),
            vrrp_grace=self._pick(own.vrrp_grace),
            peer=build_peer(document.peer, self._director, self._keys),
            remote=self._remote(document.admin.remote),
            hooks=build_hooks(document.hook, services, vips, self._keys),
            etcd=build_cluster(document.cluster, self._keys),
            legs=frozenset(self._legs - {""}),
        )

    def _remote(self, table: RemoteTable | None) -> RemoteConfig | None:
        listen = None if table is None else self._pick(table.listen)
        if table is None or listen is None:
            return None
        files = [self._keys.get(Path(path), b"") for path in (table.certificate, table.key)]
        client_ca = self._keys.get(Path(table.client_ca), b"")
        return RemoteConfig(listen, table.roles, b"\n".join(files), client_ca)

    def _pick(self, value: T | dict[str, T]) -> T:
        return value[self._director] if isinstance(value, dict) else value

    def _vip(self, vip: VipTable, default: str) -> VipConfig:
        interface = default if vip.interface is None else self._pick(vip.interface)
        addresses = tuple(VipAddress(interface, *prefixed) for prefixed in vip.addresses)
        if vip.vrrp is None:
            return VipConfig(vip.name, addresses, on_conflict=vip.on_conflict)
        vrrp = build_vrrp(vip.vrrp, vip.name, self._director, self._keys)
        return VipConfig(vip.name, addresses, vrrp, vip.on_conflict)

    def _service(self, service: ServiceTable) -> ServiceConfig:
        specs = self._specs(service.check, service)
        addresses = [realserver.address for realserver in service.realserver]
        repeated = len(set(addresses)) < len(addresses)
        return ServiceConfig(
            name=service.name,
            key=service_key(service),
            realservers=tuple(
                self._realserver(realserver, service, specs, repeated)
                for realserver in service.realserver
            ),
            scheduler=service.scheduler,
            flags=frozenset(service.scheduler_flags),
            persistence=persistence_of(service),
            one_packet=service.one_packet,
            forwarding=service.forwarding,
            on_failure=service.on_failure,
            quorum=self._pick(service.quorum),
            quorum_hysteresis=self._pick(service.quorum_hysteresis),
            sorry_server=sorry_server_of(service),
            panic_below=self._pick(service.panic_below),
            slow_start=self._pick(service.slow_start),
            passive=can_be_watched(service) and service.passive is not False,
            per_director=_per_director(service),
        )

    def _realserver(
        self,
        realserver: RealserverTable,
        service: ServiceTable,
        specs: tuple[CheckSpec, ...],
        repeated: bool,
    ) -> RealserverConfig:
        key = RealserverKey(realserver.address, port_of(realserver, service))
        self._legs.add(self._facing.leg(key.address))
        if realserver.check is not None:
            specs = self._specs(realserver.check, service)
        return RealserverConfig(
            name=realserver.name or str(key if repeated else realserver.address),
            key=key,
            weight=self._pick(realserver.weight),
            forwarding=forwarding_of(realserver, service),
            tunnel=tunnel_of(realserver, service),
            upper_threshold=self._pick(realserver.upper_threshold),
            lower_threshold=self._pick(realserver.lower_threshold),
            checks=tuple(self._check(spec, key, tunnel_of(realserver, service)) for spec in specs),
            agent=self._agent(realserver, service, key.address),
        )

    def _agent(
        self, realserver: RealserverTable, service: ServiceTable, address: IPAddress
    ) -> Agent | None:
        table = service.agent if realserver.agent is None else realserver.agent
        if not isinstance(table, AgentTable):
            return None
        spec = AgentSpec(
            table.kind,
            table.interval,
            table.timeout,
            table.step,
            table.send.encode(),
            table.path,
            table.host,
        )
        agent = Agent(address, table.port, self._pick(realserver.weight), spec)
        return self._facing.agent(agent)

    def _check(self, spec: CheckSpec, key: RealserverKey, tunnel: Tunnel | None) -> Check:
        path = spec.path
        if path is not None and tunnel is not None:
            # One object for all realservers of a tunnel: there may be a hundred thousand.
            made = self._tunnelled.get((spec, tunnel))
            if made is None:
                made = replace(spec, path=replace(path, tunnel=tunnel))
                self._tunnelled[spec, tunnel] = made
            spec = made
        spec = self._facing.spec(spec, key.address)
        return Check(key.address, key.port if spec.port is None else spec.port, spec)

    def _specs(
        self, checks: CheckTable | list[CheckTable] | None, service: ServiceTable
    ) -> tuple[CheckSpec, ...]:
        return tuple(
            self._spec(check, service)
            for _, check in listed((), checks)
            if check.kind is not CheckKind.NONE
        )

    def _spec(self, check: CheckTable, service: ServiceTable) -> CheckSpec:
        http = check.kind in {CheckKind.HTTP, CheckKind.HTTPS}
        source: IPAddress | None
        match check.source:
            case dict(by_director):
                source = by_director[self._director]
            case source:
                pass
        return CheckSpec(
            kind=check.kind,
            timing=_timing(check),
            port=check.port,
            source=source,
            http=_http(check) if http else None,
            tls=_tls(check) if check.kind is CheckKind.HTTPS else None,
            tcp=_tcp(check) if check.kind is CheckKind.TCP else None,
            canary=_canary(check, service),
            path=_path(check, service),
            arp=_arp(check),
        )


def _timing(check: CheckTable) -> Timing:
    fast, down = check.fast_interval, check.down_interval
    return Timing(
        interval=check.interval,
        fast_interval=min(check.interval, FAST_INTERVAL) if fast is None else fast,
        down_interval=check.interval if down is None else down,
        timeout=check.timeout,
        rise=check.rise,
        fall=check.fall,
    )


def _http(check: CheckTable) -> HttpSpec:
    return HttpSpec(
        method=check.method,
        path=check.path,
        host=check.host,
        headers=check.headers,
        body=check.body,
        expect_status=check.expect_status,
        expect_body=check.expect_body,
        expect_regex=check.expect_regex,
        max_body=check.max_body,
    )


def _tls(check: CheckTable) -> TlsSpec:
    return TlsSpec(check.verify, check.server_name, check.ca_file)


def _tcp(check: CheckTable) -> TcpSpec:
    return TcpSpec(check.send.encode(), check.expect.encode())


def _canary(check: CheckTable, service: ServiceTable) -> CanarySpec | None:
    match check.canary:
        case CanaryTable(port=port, kind=kind):
            return CanarySpec(port, kind)
        case None:
            return CanarySpec() if service.protocol in {None, Protocol.TCP} else None
        case wanted:
            return CanarySpec() if wanted else None


def _path(check: CheckTable, service: ServiceTable) -> VipPath | None:
    if check.via is not Via.VIP or service.address is None:
        return None
    vip = service.address
    return VipPath(vip.address, vip.port if check.port is None else check.port)


def _arp(check: CheckTable) -> ArpSpec | None:
    match check.arp:
        case ArpTable(interval=interval, tries=tries):
            return ArpSpec(interval, tries)
        case None | True:
            return ArpSpec()
        case _:
            return None


def _ipvs(document: Document) -> IpvsSettings:
    """Kernel settings: those that are named, and the two without which a promise breaks."""
    table = document.ipvs
    sysctls: dict[str, int | None] = {key: getattr(table, key) for key in SYSCTLS}
    if any(s.on_failure is not OnFailure.QUIESCE or s.sorry_server for s in document.service):
        sysctls["expire_nodest_conn"] = _default(sysctls, "expire_nodest_conn")
    if any(service.persistence is not None for service in document.service):
        sysctls["expire_quiescent_template"] = _default(sysctls, "expire_quiescent_template")
    return IpvsSettings(
        sysctls={key: str(value) for key, value in sysctls.items() if value is not None},
        tcp_timeout=table.tcp_timeout,
        tcp_fin_timeout=table.tcp_fin_timeout,
        udp_timeout=table.udp_timeout,
    )


def _default(sysctls: Mapping[str, int | None], key: str) -> int:
    value = sysctls[key]
    return 1 if value is None else value


def _per_director(service: ServiceTable) -> bool:
    """Whether directors may have other realservers in, by what the file says."""
    rules = (service.quorum, service.quorum_hysteresis, service.panic_below)
    weights = (realserver.weight for realserver in service.realserver)
    return any(isinstance(value, dict) for value in (*rules, *weights))
