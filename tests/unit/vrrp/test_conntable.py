"""The connection table as text: it becomes what the kernel's own master would have sent."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.core.model import (
    Family,
    Forwarding,
    Persistence,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.conntable import ConnectionTable, Scope, Tally
from lvsguard.vrrp.flow_facts import FlowFacts
from lvsguard.vrrp.sync_codec import Message, decode
from lvsguard.vrrp.sync_entry import Engine, Entry, Flags
from tests.support.golden import GOLDEN
from tests.support.ipvs_table import from_ipvsadm

HEADER = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
RS1, RS2 = (RealserverKey(ip_address(f"10.0.0.{n}"), 80) for n in (42, 43))
VIP = ip_address("10.0.0.8")
DR, NAT, TUN = (
    Flags.DROUTE | Flags.NOOUTPUT,
    Flags.MASQ,
    Flags.TUNNEL | Flags.NOOUTPUT,
)


def line(
    protocol: str = "TCP",
    client: str = "0A000064 9C40",
    virtual: str = "0A000008 0050",
    realserver: str = "0A00002A 0050",
    state: str = "ESTABLISHED",
    expires: int = 899,
    more: str = "",
) -> str:
    return f"{protocol:<3} {client} {virtual} {realserver} {state:<11} {expires:>7}{more}\n"


def service(forwarding: Forwarding = Forwarding.DR, *keys: RealserverKey) -> VirtualService:
    return VirtualService(
        "rr", realservers={key: Realserver(1, forwarding) for key in keys or (RS1, RS2)}
    )


WEB = {ServiceKey.at(Protocol.TCP, VIP, 80): service()}


class Rig:
    """A table in a file."""

    def __init__(
        self,
        folder: Path,
        services: dict[ServiceKey, VirtualService] | None = None,
        scope: Scope | None = None,
    ) -> None:
        self.file = folder / "ip_vs_conn"
        self.table = ConnectionTable(
            FlowFacts(WEB if services is None else services), scope, self.file
        )
        self.tally = Tally()

    def read(self, text: str | bytes, *, new_only: bool = False) -> list[Entry]:
        self.file.write_bytes(text.encode() if isinstance(text, str) else text)
        self.tally = Tally()
        slices = self.table.read(self.tally, new_only=new_only)
        return [entry for entries in slices for entry in entries]


def test_a_real_kernels_table_becomes_what_its_own_master_sent(tmp_path: Path) -> None:
    """But for the seconds left, and for which mark it was where two share a realserver."""
    sent = {}
    for captured in (GOLDEN / "sync/linux-6.1.hex").read_text().splitlines():
        message = decode(bytes.fromhex(captured))
        assert isinstance(message, Message)
        for entry in message.entries:  # the latest of each
            sent[entry[:7], entry.engine] = entry
    rig = Rig(tmp_path, dict(from_ipvsadm((GOLDEN / "sync/linux-6.1.ipvsadm").read_text())))
    read = rig.read((GOLDEN / "sync/linux-6.1.ip_vs_conn").read_text())

    assert rig.tally == Tally(entries=len(sent))
    assert {(entry[:7], entry.engine) for entry in read} == set(sent)
    for entry in read:
        wanted = sent[entry[:7], entry.engine]
        if entry.fwmark == 7 and wanted.fwmark == 9:
            wanted = wanted._replace(fwmark=7)
        assert entry == wanted._replace(timeout=entry.timeout)
        least = wanted.timeout - (0 if entry.flags & Flags.TEMPLATE else 10)
        assert least <= entry.timeout <= wanted.timeout


@pytest.mark.parametrize(
    ("forwarding", "flags"),
    [(Forwarding.DR, DR), (Forwarding.NAT, NAT), (Forwarding.TUN, TUN)],
)
def test_the_forwarding_method_is_that_of_the_realserver(
    tmp_path: Path, forwarding: Forwarding, flags: Flags
) -> None:
    rig = Rig(tmp_path, {ServiceKey.at(Protocol.TCP, VIP, 80): service(forwarding)})
    assert [entry.flags for entry in rig.read(line())] == [flags]
    assert rig.tally.unknown == 0


@pytest.mark.parametrize(
    ("state", "number", "active"),
    [("ESTABLISHED", 1, True), ("SYN_RECV", 3, False), ("FIN_WAIT", 4, False), ("NONE", 0, False)],
)
def test_only_established_connections_count_as_active(
    tmp_path: Path, state: str, number: int, active: bool
) -> None:
    (entry,) = Rig(tmp_path).read(line(state=state))
    assert (entry.state, not entry.flags & Flags.INACTIVE) == (number, active)


def test_a_realserver_that_has_left_is_taken_for_what_the_others_are(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {ServiceKey.at(Protocol.TCP, VIP, 80): service(Forwarding.TUN, RS2)})
    (entry,) = rig.read(line())
    assert (entry.flags, rig.tally.unknown) == (TUN, 1)


def test_a_service_that_has_left_is_taken_for_direct_routing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {})
    (entry,) = rig.read(line())
    assert (entry.flags, entry.fwmark, rig.tally.unknown) == (DR, 0, 1)


def test_a_service_of_all_ports_explains_every_port(tmp_path: Path) -> None:
    every = RealserverKey(RS1.address, 0)
    rig = Rig(tmp_path, {ServiceKey.at(Protocol.TCP, VIP, 0): service(Forwarding.TUN, every)})
    (entry,) = rig.read(line(virtual="0A000008 1F90", realserver="0A00002A 1F90"))
    assert (entry.flags, rig.tally.unknown) == (TUN, 0)


def test_what_only_a_marked_service_explains_has_its_mark(tmp_path: Path) -> None:
    every = RealserverKey(RS1.address, 0)
    services = {
        **WEB,
        ServiceKey.marked(9): service(Forwarding.DR, every),
        ServiceKey.marked(7): service(Forwarding.DR, every),
        ServiceKey.marked(3, Family.INET6): service(Forwarding.DR, every),
        ServiceKey.marked(4): service(Forwarding.DR, RealserverKey(RS2.address, 0)),
    }
    read = Rig(tmp_path, services).read(
        line() + line(virtual="0A000008 1F90", realserver="0A00002A 1F90")
    )
    assert [entry.fwmark for entry in read] == [0, 7]


def test_a_template_lives_as_long_as_its_service_says(tmp_path: Path) -> None:
    """Not as long as is left: where it goes, each use would then renew it by that much only."""
    sticky = VirtualService("rr", persistence=Persistence(360), realservers={RS1: Realserver(1)})
    rig = Rig(tmp_path, {ServiceKey.at(Protocol.TCP, VIP, 80): sticky})
    template, connection = rig.read(
        line(client="0A000064 0000", state="ASSURED", expires=5) + line(expires=5)
    )
    assert template.flags == DR | Flags.TEMPLATE | Flags.INACTIVE
    assert (template.state, template.timeout) == (1, 360)
    assert connection.timeout == 5


def test_a_template_of_an_engine_keeps_what_it_remembers(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {})
    (entry,) = rig.read(line("UDP", "0A000064 0000", state="NONE", more=" sip 1 2@example.org"))
    assert entry.engine == Engine(b"sip", b"1 2@example.org")


def test_what_has_no_second_left_still_has_one(tmp_path: Path) -> None:
    """0 would mean: as long as the state lasts."""
    (entry,) = Rig(tmp_path).read(line(expires=0))
    assert entry.timeout == 1


@pytest.mark.parametrize(
    "text",
    [
        # invalid template; families mixed (tun); NAT of FTP, whose sequence numbers are not told
        line(client="0A000064 0000", virtual="0A000008 FFFF", state="NONE"),
        line(realserver="fd00:0000:0000:0000:0000:0000:0000:0042 0050"),
        line(client="fd00:0000:0000:0000:0000:0000:0000:0042 0050"),
        line(virtual="0A000008 0015", realserver="0A00002A 0015"),
    ],
    ids=["invalid template", "mixed families", "mixed families too", "ftp"],
)
def test_what_the_protocol_cannot_carry_is_left_out(tmp_path: Path, text: str) -> None:
    ftp = {ServiceKey.at(Protocol.TCP, VIP, 21): service(Forwarding.NAT, RS1._replace(port=21))}
    rig = Rig(tmp_path, {**WEB, **ftp})
    assert rig.read(text) == []
    assert rig.tally == Tally(left_out=1)


def test_only_the_vips_and_marks_that_are_asked_for_are_read(tmp_path: Path) -> None:
    other = line(virtual="0A000009 0050")
    marks = [line("IP", "0A000064 0000", f"0000000{mark} 0000", state="ASSURED") for mark in (7, 9)]
    rig = Rig(tmp_path, None, Scope(frozenset([VIP.packed]), frozenset([9])))
    read = rig.read(line() + other + "".join(marks))
    assert [(entry.virtual, entry.fwmark) for entry in read] == [
        (VIP.packed, 0),
        (bytes((0, 0, 0, 9)), 9),
    ]
    assert rig.tally.left_out == 2


def test_a_second_read_gives_what_is_new_or_in_another_state(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    opening, held = line(client="0A000064 0001", state="SYN_RECV"), line()
    rig.read(HEADER + opening + held)
    opened = line(client="0A000064 0001", expires=7)
    new = line(client="0A000064 0002")
    read = rig.read(HEADER + opened + line(expires=800) + new, new_only=True)
    assert [(entry.client_port, entry.state) for entry in read] == [(1, 1), (2, 1)]
    assert rig.tally == Tally(entries=2, repeated=1)
    assert len(rig.read(HEADER + opened + held + new)) == 3


def test_what_comes_twice_in_one_read_is_given_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert len(rig.read(line() + line(expires=3))) == 1


def test_a_table_is_read_in_slices_and_no_line_is_cut(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.file.write_text(HEADER + "".join(line(client=f"0B{n:06X} 0400") for n in range(5000)))
    sizes = [len(entries) for entries in rig.table.read(rig.tally)]
    assert sum(sizes) == 5000
    assert max(sizes) < 1100
    assert rig.tally == Tally(entries=5000)


@pytest.mark.parametrize(
    "text",
    [
        line("ICMP"),
        line(state="UNHEARD_OF"),
        line(client="0A0000 9C40"),
        line(client="0A000064 9C4"),
        line(client="0A000064 -001"),
        line(virtual="zzzzzzzz 0050"),
        line().replace("899", "soon"),
        "TCP 0A000064 9C40\n",
    ],
)
def test_a_line_of_no_sense_is_counted_and_the_next_one_read(tmp_path: Path, text: str) -> None:
    rig = Rig(tmp_path)
    assert len(rig.read(HEADER + text + line())) == 1
    assert rig.tally == Tally(entries=1, unreadable=1)


def test_a_missing_table_says_what_to_do(tmp_path: Path) -> None:
    table = ConnectionTable(FlowFacts({}), path=tmp_path / "none")
    with pytest.raises(KernelError, match=r"cannot read .*none: No such file.*: load ip_vs"):
        list(table.read(Tally()))
