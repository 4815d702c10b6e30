"""The commands that steps print say all that the steps say."""

from __future__ import annotations

import shlex
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.core.model import Realserver, ServiceKey, VipAddress, VirtualService
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    RemoveAddress,
)
from tests.support.examples import examples
from tests.support.ipvsadm_syntax import Command, read
from tests.support.strategies import (
    VIP_ADDRESSES,
    any_members,
    any_service_keys,
    any_virtual_services,
)

WAS = Realserver(3)


def without_realservers(service: VirtualService) -> VirtualService:
    return replace(service, realservers={})


@settings(deadline=None, max_examples=examples(80))
@given(any_service_keys(), st.data())
def test_what_a_service_step_prints_reads_back_as_its_values(
    key: ServiceKey, data: st.DataObject
) -> None:
    wanted = data.draw(any_virtual_services(key))
    settings_ = without_realservers(wanted)
    assert read(str(AddService(key, wanted))) == Command("-A", key, settings_)
    assert read(str(EditService(key, wanted, VirtualService("rr")))) == Command(
        "-E", key, settings_
    )
    assert read(str(DeleteService(key))) == Command("-D", key)


@settings(deadline=None, max_examples=examples(80))
@given(any_service_keys(), st.data())
def test_what_a_realserver_step_prints_reads_back_as_its_values(
    key: ServiceKey, data: st.DataObject
) -> None:
    realserver, entry = data.draw(any_members(key))
    assert read(str(AddRealserver(key, realserver, entry))) == Command(
        "-a", key, realserver=realserver, entry=entry
    )
    assert read(str(EditRealserver(key, realserver, entry, WAS))) == Command(
        "-e", key, realserver=realserver, entry=entry
    )
    assert read(str(DeleteRealserver(key, realserver))) == Command("-d", key, realserver=realserver)


@settings(deadline=None, max_examples=examples(50))
@given(st.sampled_from(VIP_ADDRESSES))
def test_what_an_address_step_prints_reads_back_as_its_values(address: VipAddress) -> None:
    where = [f"{address.address}/{address.prefix}", "dev", address.interface]
    assert str(AddAddress(address)).split(" ") == ["ip", "addr", "add", *where]
    assert str(RemoveAddress(address)).split(" ") == ["ip", "addr", "del", *where]


@settings(deadline=None, max_examples=examples(50))
@given(any_service_keys(), st.data())
def test_a_shell_takes_the_command_as_it_is(key: ServiceKey, data: st.DataObject) -> None:
    line = str(AddRealserver(key, *data.draw(any_members(key))))
    assert shlex.split(line) == line.split(" ")
    assert not set(line) & set("*?$`\\\"'|&;<>(){}!#~\n")
