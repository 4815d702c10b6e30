"""Every command that a page of the docs tells to type does what the page shows.

A page that begins with `<!-- lab: bare -->` is played in the network of `make lab`; one with
`<!-- lab: running -->` where lvsguard runs on director1 and has set up both realservers. Shown
output must be what is printed, within 40 seconds; `...` in it stands for anything. A command
that ends with ` &` stays running. A block after `<!-- file: PATH -->` is written to that file.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.demo.stage import CONFIG, PLACE
from tests.lab.playground import INSIDE, playground
from tests.support.director import Director
from tests.support.documents import CHECKOUT, Typed, files, pages, typed
from tests.support.processes import run

if TYPE_CHECKING:
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]

_STAGE = re.compile(r"^<!-- lab: (bare|running) -->")
STAGES = {
    str(page.relative_to(CHECKOUT)): found[1]
    for page in pages()
    if (found := _STAGE.match(page.read_text()))
}
SEEN_WITHIN_S = 40


@pytest.mark.parametrize("page", STAGES)
def test_every_command_of_the_page_does_what_it_shows(page: str, artifacts: Path) -> None:
    text = (CHECKOUT / page).read_text()
    commands = typed(text)
    assert commands
    for leftover in (CONFIG, Path("/var/lib/lvsguard"), Path("/tmp/director2")):
        run(["rm", "-rf", str(leftover)])
    with playground(artifacts) as network:
        if STAGES[page] == "running":
            start(network)
        for file, content in files(text).items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        transcript = artifacts / "transcript.txt"
        for command in commands:
            printed = play(network, command)
            with transcript.open("a") as written:
                written.write(f"{command.host}# {command.command}\n{printed[-1]}")
            assert command.agrees(printed[-1]), (
                f"{page}:{command.line}: {command.host}# {command.command}\nprinted at first:\n"
                f"{printed[0]}at last:\n{printed[-1]}shown:\n{command.shown}"
            )


def test_the_tutorial_is_played() -> None:
    assert STAGES["docs/tutorial.md"] == "bare"


def start(network: Network) -> None:
    """Set up the realservers and start the director, as an installation does."""
    shutil.copy(CHECKOUT / "tests/lab/demo/director1.toml", CONFIG)
    for realserver in network.realservers:
        realserver.run("lvsguard", "realserver", "up")
    director = Director(network.director1, PLACE, CONFIG)
    director.start()
    director.wait_for_weights(rs1=1, rs2=1)


def play(network: Network, command: Typed) -> list[str]:
    """Type it, again and again until it prints what is shown; return what it printed each time."""
    host = next(host for host in network.hosts if host.name == command.host)
    there = (str(INSIDE), host.name, "bash", "-c")
    if command.command.endswith(" &"):
        host.start("typed", *there, f"exec {command.command.removesuffix(' &')}")
        return [""]
    until = time.monotonic() + SEEN_WITHIN_S
    printed: list[str] = []
    while True:
        done = host.run(*there, command.command, check=False)
        printed.append(done.stdout + done.stderr)
        if command.agrees(printed[-1]) or time.monotonic() > until:
            return printed
        time.sleep(0.2)
