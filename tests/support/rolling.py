"""A deploy script under load: `drain --wait && restart && undrain --wait`, one by one."""

from __future__ import annotations

import contextlib
import io
import time
from typing import TYPE_CHECKING

from lvsguard.cli.main import main
from tests.support.director import tell
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.support.director import Director
    from tests.support.director_seed import Seed

TARGET = f"{VIP}:80"
LAST_S = 2
"""How long each long connection lasts."""


def play(
    seed: Seed,
    numbers: Sequence[int],
    *,
    per_second: float,
    held: int,
    sources: Sequence[str] = (),
    meanwhile: Mapping[int, Callable[[], object]] | None = None,
) -> None:
    """Restart these realservers (0 is rs1) while new connections come and `held` long ones are
    open; no request may fail and no connection break. ``sources``: addresses of the client that
    they come from. ``meanwhile``: what happens, by realserver, while its drain is waited for."""
    pings = start_pings(seed.client, TARGET, held, every_s=0.5, last_s=LAST_S, sources=sources)
    load = start_load(seed.client, TARGET, per_second, timeout_s=5, sources=sources)
    time.sleep(1)
    begun = time.monotonic()
    waits = [_restart(seed, number, (meanwhile or {}).get(number)) for number in numbers]
    took_s = time.monotonic() - begun
    requests, connections = load.stop(), pings.stop()
    broken = [one for one in connections if one.broken]
    tell(
        "rolling restart",
        realservers=len(numbers),
        waited=sum(waits),
        took_s=took_s,
        requests=len(requests),
        per_second=len(requests) / (requests[-1].at - requests[0].at),
        failed=len(failures(requests)),
        connections=len(connections),
        broken=len(broken),
        slowest_s=max(one.took_s for one in requests),
        stall_s=max(one.worst_s for one in connections),
    )
    assert len(requests) > 0.8 * per_second * (requests[-1].at - requests[0].at), "it was no load"
    assert failures(requests) == []
    assert {one.status for one in requests} == {200}
    assert broken == []
    assert any(waits), "no drain had a connection to wait for"
    assert sum(one.pings > 0 for one in connections) > held


def drain_command(address: str) -> tuple[str, ...]:
    """As docs/howto/rolling-restart.md has it."""
    limits = ("--timeout", "60s", "--for", "1h")
    return ("drain", address, "--mine", "--wait", *limits, "--reason", "deploy")


def undrain_command(address: str) -> tuple[str, ...]:
    """As docs/howto/rolling-restart.md has it."""
    return ("undrain", address, "--mine", "--wait", "--timeout", "60s")


def _restart(seed: Seed, number: int, happens: Callable[[], object] | None) -> bool:
    """Whether its drain had to wait."""
    address = str(seed.network.realservers[number].address)
    drain = drain_command(address)
    if happens is not None:
        socket = ("--socket", str(seed.director.place / "lvsguard.sock"))
        waiting = seed.director.host.start("drain", "lvsguard", *drain, *socket)
        waiting.wait_for(" left")
        happens()
        assert waiting.wait(60) == 0, waiting.text()
        said = waiting.text()
    else:
        said = _typed(seed, *drain)
    seed.webs[number].kill()
    seed.webs[number].start()
    _typed(seed, *undrain_command(address))
    return " left" in said


def _typed(seed: Seed, *arguments: str) -> str:
    status, said = command(seed.director, *arguments)
    assert status == 0, said
    return said


def command(director: Director, *arguments: str) -> tuple[int, str]:
    """A command line in this process, where a Python takes seconds to start; exit status and all
    that was said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main([*arguments, "--socket", str(director.place / "lvsguard.sock")])
    return status, said.getvalue()
