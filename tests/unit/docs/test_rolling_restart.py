"""The page on rolling restarts: what it tells people to run is what the lab plays."""

from __future__ import annotations

import re
import shlex

import pytest

from lvsguard.cli.main import build_parser
from tests.support.documents import CHECKOUT, blocks
from tests.support.playbook import Node, parse
from tests.support.rolling import drain_command, undrain_command

PAGE = (CHECKOUT / "docs/howto/rolling-restart.md").read_text()
ADDRESS = "10.0.0.42"
COMMAND = "ansible.builtin.command"


def tasks() -> list[dict[str, Node]]:
    """Of the page's one play."""
    (block,) = (block for block in blocks(PAGE) if block.language == "yaml")
    plays = parse(block.text)
    assert isinstance(plays, list)
    (play,) = plays
    assert isinstance(play, dict)
    assert (play["serial"], play["max_fail_percentage"]) == ("1", "0")
    found = play["tasks"]
    assert isinstance(found, list)
    return [task for task in found if isinstance(task, dict)]


def words(command: str) -> tuple[str, ...]:
    """A command of the play as a shell would have it, for one realserver."""
    command = command.replace("{{ ansible_host }}", ADDRESS).replace("{{ release }}", "4.2")
    assert "{{" not in command
    first, *rest = shlex.split(command)
    assert first == "lvsguard"
    return tuple(rest)


def options(command: tuple[str, ...]) -> set[str]:
    """Which options it gives; argparse refuses one that does not exist."""
    args = build_parser().parse_args(command)
    assert args.targets == [ADDRESS]
    return {word for word in command if word.startswith("--")}


def test_the_playbook_runs_the_commands_that_the_lab_plays() -> None:
    commands = [words(str(task[COMMAND])) for task in tasks() if COMMAND in task]
    played = [drain_command(ADDRESS), undrain_command(ADDRESS)]
    assert [command[0] for command in commands] == [command[0] for command in played]
    assert list(map(options, commands)) == list(map(options, played))


def test_the_server_is_restarted_between_them_and_answers_before_it_is_back() -> None:
    modules = [next(key for key in task if key.startswith("ansible.")) for task in tasks()]
    assert modules == [
        COMMAND,
        *(f"ansible.builtin.{n}" for n in ("systemd_service", "uri")),
        COMMAND,
    ]
    for task in tasks():
        assert (task.get("delegate_to") == "{{ director }}") is (COMMAND in task)


def test_the_line_of_shell_runs_the_same_but_for_the_end_by_itself() -> None:
    shell = next(block.text for block in blocks(PAGE) if "&&" in block.text)
    commands = [
        words(part.strip().replace(" rs1 ", " {{ ansible_host }} "))
        for part in re.split(r"&&", shell)
        if "lvsguard" in part
    ]
    drain, undrain = map(options, commands)
    assert drain == options(drain_command(ADDRESS)) - {"--for"}
    assert undrain == options(undrain_command(ADDRESS))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a: 1\n  a: 2\n", "no key of its own"),
        ("- a: 1\n   b: 2\n", "belongs nowhere"),
        ("- a\n", "no key of its own"),
        ("- a: {b: 1}\n", "not a plain scalar"),
        ("- a:\n- b: 1\n", "a has no value"),
    ],
    ids=["twice", "indent", "no key", "flow", "empty"],
)
def test_what_it_cannot_read_is_no_playbook(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(text)
