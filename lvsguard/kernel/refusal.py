"""Why a step cannot be done, in words: before it is sent, and after the kernel refused it.

Pure. The errno values are those of net/netfilter/ipvs/ip_vs_ctl.c (ip_vs_genl_set_cmd and what
it calls). The kernel takes nonsense that would read back as something else (weight -1 becomes
2147483647, a persistence timeout overflows), so ``refusal`` looks first.
"""

from __future__ import annotations

from errno import EAFNOSUPPORT, EEXIST, EINVAL, ENODEV, ENOENT, EPERM, ERANGE, ESRCH
from ipaddress import ip_address
from os import strerror
from typing import Final

from lvsguard.core.model import (
    WEIGHT_MAX,
    Family,
    Forwarding,
    Realserver,
    RealserverKey,
    ServiceKey,
    TunnelKind,
    VirtualService,
)
from lvsguard.core.scheduler import normal_flags
from lvsguard.core.step import (
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    IpvsStep,
)
from lvsguard.kernel.port import KernelError, StepFailure, SyncDaemon, SyncRole, Timeouts

NAME_MAX: Final = 15
"""Longest name of a scheduler or persistence engine (IP_VS_SCHEDNAME_MAXLEN - 1)."""
TIMEOUT_MAX: Final = 31 * 86400
"""Longest persistence timeout in seconds; ipvsadm's limit, far below the kernel's overflow."""
U32_MAX: Final = 0xFFFFFFFF
NEED_CAPABILITY: Final = (
    "CAP_NET_ADMIN is needed: run as root, or give it in the systemd unit"
    " (AmbientCapabilities=CAP_NET_ADMIN)"
)


def refusal(step: IpvsStep) -> StepFailure | None:
    """What is wrong with a step that the kernel must not even see, or None."""
    match step:
        case AddService(key, wanted) | EditService(key, wanted):
            problem = _service_key(key) or _settings(key, wanted)
        case AddRealserver(key, realserver, entry) | EditRealserver(key, realserver, entry):
            problem = _service_key(key) or _entry(key, realserver, entry)
        case DeleteRealserver(key, realserver):
            problem = _service_key(key) or _realserver_key(realserver)
        case DeleteService(key):
            problem = _service_key(key)
    if problem is None:
        return None
    errno, message = problem
    return StepFailure(step, errno, f"{step}: {message}")


Problem = tuple[int, str] | None


def _service_key(key: ServiceKey) -> Problem:
    if key.address is None:
        if not 1 <= key.fwmark <= U32_MAX:
            return ERANGE, f"firewall mark {key.fwmark}: give one from 1 to {U32_MAX}"
        return None
    if key.protocol is None:
        return EINVAL, "no protocol: give tcp, udp or sctp"
    if not 0 <= key.port <= 0xFFFF:
        return ERANGE, f"port {key.port}: give one from 0 to 65535"
    return None


def _settings(key: ServiceKey, service: VirtualService) -> Problem:
    if not _is_name(service.scheduler):
        return EINVAL, f"scheduler {service.scheduler!r}: give a name as in ipvsadm(8)"
    try:
        normal_flags(service.scheduler, service.flags)
    except ValueError as error:
        return EINVAL, str(error)
    persistence = service.persistence
    if persistence is None:
        return None
    if not 1 <= persistence.timeout <= TIMEOUT_MAX:
        return ERANGE, f"persistence timeout {persistence.timeout}: give 1 to {TIMEOUT_MAX} s"
    bits = 128 if key.family is Family.INET6 else 32
    if not 1 <= persistence.prefix <= bits:
        return ERANGE, f"persistence prefix {persistence.prefix}: give one from 1 to {bits}"
    if persistence.engine is not None and not _is_name(persistence.engine):
        return EINVAL, f"persistence engine {persistence.engine!r}: give a name, such as sip"
    return None


def _realserver_key(key: RealserverKey) -> Problem:
    if not 0 <= key.port <= 0xFFFF:
        return ERANGE, f"port {key.port}: give one from 0 to 65535"
    return None


def _entry(service: ServiceKey, key: RealserverKey, entry: Realserver) -> Problem:
    if problem := _realserver_key(key):
        return problem
    if not 0 <= entry.weight <= WEIGHT_MAX:
        return ERANGE, f"weight {entry.weight}: give one from 0 to {WEIGHT_MAX}"
    upper, lower = entry.upper_threshold, entry.lower_threshold
    if not (0 <= upper <= U32_MAX and 0 <= lower <= U32_MAX):
        return ERANGE, f"thresholds {upper} and {lower}: give 0 to {U32_MAX}"
    if lower > upper:
        return ERANGE, f"lower threshold {lower} is above the upper threshold {upper}: swap them"
    if entry.forwarding in (Forwarding.LOCAL, Forwarding.BYPASS):
        return EINVAL, f"forwarding {entry.forwarding} is the kernel's own: give dr, nat or tun"
    if entry.forwarding is not Forwarding.TUN and key.address.version != service.family:
        return EINVAL, "realserver and service differ in address family: only tun can do that"
    return _tunnel(entry)


def _tunnel(entry: Realserver) -> Problem:
    if (tunnel := entry.tunnel) is None:
        return None
    if entry.forwarding is not Forwarding.TUN:
        return EINVAL, f"a tunnel with forwarding {entry.forwarding}: take it out, or use tun"
    if tunnel.kind is TunnelKind.GUE:
        if not 1 <= tunnel.port <= 0xFFFF:
            return ERANGE, f"gue port {tunnel.port}: give one from 1 to 65535"
    elif tunnel.port:
        return EINVAL, f"a port with tunnel {tunnel.kind}: only gue has one"
    return None


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= NAME_MAX and name.isascii() and name.isprintable()


def failure(step: IpvsStep, errno: int, detail: str = "") -> StepFailure:
    """A kernel's refusal of a step, explained. ``detail``: the kernel's own words (NLM ext ack)."""
    stale, why = _explanation(step, errno)
    said = f" (kernel: {detail})" if detail else ""
    return StepFailure(step, errno, f"{step}: {strerror(errno)}: {why}{said}", stale)


def _explanation(step: IpvsStep, errno: int) -> tuple[bool, str]:
    """(stale, why). ESRCH is a missing service; ENOENT a missing realserver or module."""
    if errno == EPERM:
        return False, NEED_CAPABILITY
    if errno == ESRCH:
        return True, "the service is not in the table any more; it will be read again"
    if errno == EEXIST:
        return True, "it is in the table already; it will be read again"
    if errno == ENOENT:
        if isinstance(step, AddService | EditService):
            return False, _missing_module(step.wanted)
        return True, "the realserver is not in the table any more; it will be read again"
    if errno == EAFNOSUPPORT:
        return False, "the kernel has no IPv6 in IPVS: it needs CONFIG_IP_VS_IPV6"
    if (
        errno == EINVAL
        and isinstance(step, AddRealserver | EditRealserver)
        and step.realserver.address.version != step.service.family
    ):
        return False, (
            "a realserver of the other address family needs forwarding tun, and no sync"
            " daemon may run (ipvsadm --daemon)"
        )
    return False, "look at the kernel's log (dmesg) and compare with ipvsadm -Ln"


def modules_of(service: VirtualService) -> tuple[str, ...]:
    """The kernel modules that a service's settings need."""
    engine = service.persistence.engine if service.persistence is not None else None
    needed = (f"ip_vs_{service.scheduler}",)
    return (*needed, f"ip_vs_pe_{engine}") if engine else needed


def _missing_module(service: VirtualService) -> str:
    what = f"the kernel has no scheduler {service.scheduler}"
    if service.persistence is not None and service.persistence.engine:
        what += f" or no persistence engine {service.persistence.engine}"
    return f"{what}: load it with modprobe -a {' '.join(modules_of(service))}"


def sync_refused(errno: int, role: SyncRole, daemon: SyncDaemon | None = None) -> KernelError:
    """Why a sync daemon could not be started (``daemon`` given) or stopped."""
    what = f"{'start' if daemon else 'stop'} the sync daemon ({role})"
    if errno == EPERM:
        why = NEED_CAPABILITY
    elif errno == EEXIST:
        why = "one of this role runs already: stop it first (ipvsadm --stop-daemon)"
    elif errno == ESRCH:
        why = "none of this role runs: nothing is left to do"
    elif errno == ENODEV and daemon:
        why = f"there is no interface {daemon.interface} with an address and link: see ip link"
    elif errno == EINVAL:
        why = (
            "the kernel refuses its settings; with realservers of another address family than"
            " their service (tun) there can be no sync daemon"
        )
    else:
        why = "look at the kernel's log (dmesg)"
    return KernelError(f"cannot {what}: {strerror(errno)}: {why}", errno)


def _is_group(text: str) -> bool:
    try:
        return ip_address(text).is_multicast
    except ValueError:
        return False


def check_timeouts(timeouts: Timeouts) -> None:
    """KernelError when a timeout cannot be set: the kernel takes 0 (leave) to INT_MAX / HZ."""
    for name in ("tcp", "tcp_fin", "udp"):
        seconds: int = getattr(timeouts, name)
        if not 0 <= seconds <= TIMEOUT_MAX:
            raise KernelError(
                f"IPVS timeout {name} = {seconds}: give 1 to {TIMEOUT_MAX} s, or 0 to leave it",
                EINVAL,
            )


def check_sync(daemon: SyncDaemon) -> None:
    """KernelError when a sync daemon's settings cannot be expressed."""
    problem = ""
    if not 1 <= len(daemon.interface) <= NAME_MAX or not daemon.interface.isascii():
        problem = f"interface {daemon.interface!r}: give its name (1 to 15 characters)"
    elif not 0 <= daemon.sync_id <= 255:
        problem = f"sync id {daemon.sync_id}: give one from 0 to 255"
    elif not 0 <= daemon.max_length <= 0xFFFF:
        problem = f"message length {daemon.max_length}: give up to 65535 bytes, 0 for the default"
    elif not 0 <= daemon.port <= 0xFFFF:
        problem = f"port {daemon.port}: give one from 1 to 65535, 0 for the default"
    elif not 0 <= daemon.ttl <= 255:
        problem = f"ttl {daemon.ttl}: give one from 1 to 255, 0 for the default"
    elif daemon.group and not _is_group(daemon.group):
        problem = f"group {daemon.group}: give a multicast address, such as 224.0.0.81"
    if problem:
        raise KernelError(f"cannot start the sync daemon ({daemon.role}): {problem}", EINVAL)
