"""Hooks as the config writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from lvsguard.core.event import Level
from lvsguard.core.hook import HookConfig
from tests.unit.config.samples import PLAIN

COMMAND = '[[hook]]\nname = "mail"\ncommand = ["/usr/local/bin/mail-event", "ops"]\n'
URL = '[[hook]]\nname = "chat"\nurl = "https://chat.example.org/hook"\n'


def hooks(config: str) -> tuple[HookConfig, ...]:
    return loads(f"{PLAIN}\n{config}", director="director1").hooks


def refusals(config: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        hooks(config)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_commands_and_webhooks_have_their_wishes(tmp_path: Path) -> None:
    key = tmp_path / "hook.key"
    key.write_text("ab" * 32 + "\n")
    key.chmod(0o640)
    more = f'key = "{key}"\nevents = ["role", "health"]\nlevel = "warning"\ngive_up = "1h"\n'
    mail, chat = hooks(COMMAND + URL + more)
    assert mail == HookConfig("mail", ("/usr/local/bin/mail-event", "ops"))
    assert (chat.url, chat.key) == ("https://chat.example.org/hook", b"\xab" * 32)
    assert chat.kinds == frozenset({"role", "health"})
    assert chat.level is Level.WARNING
    assert chat.give_up == 3600
    assert "\\xab" not in repr(chat)


def test_services_are_taken_with_their_realservers_and_vips() -> None:
    (hook,) = hooks(COMMAND + 'services = ["web"]\n')
    assert hook.about is not None
    assert ("service", "web") in hook.about
    assert ("vip", "web") in hook.about
    assert ("realserver", "10.0.0.42:80") in hook.about


@pytest.mark.parametrize(
    ("config", "key", "says"),
    [
        ('[[hook]]\nname = "x"\n', "hook[0]", "neither command nor url"),
        (COMMAND + 'url = "https://x/"\n', "hook[0]", "command and url"),
        (COMMAND + COMMAND, "hook[1].name", "is there twice"),
        (COMMAND + 'key = "/x"\n', "hook[0].key", "leave it out"),
        (COMMAND + 'services = ["wep"]\n', "hook[0].services", 'did you mean "web"?'),
        (COMMAND + 'events = ["helth"]\n', "hook[0].events[0]", 'did you mean "health"?'),
        ('[[hook]]\nname = "x"\ncommand = ["mail"]\n', "hook[0].command", "absolute path"),
        ('[[hook]]\nname = "x"\ncommand = "/bin/x | y"\n', "hook[0].command", "no shell"),
        ('[[hook]]\nname = "x"\nurl = "ftp://x/"\n', "hook[0].url", "write https://"),
        ('[[hook]]\nname = "x"\nurl = "https://x:0/"\n', "hook[0].url", "write https://"),
        (URL + 'key = "/nonexistent/key"\n', "hook[0].key", "is not there"),
    ],
)
def test_what_is_wrong_is_told(config: str, key: str, says: str) -> None:
    found = {k.replace('"', ""): m for k, m in refusals(config).items()}
    assert any(says in message for message in found.values()), found
    assert any(name.startswith("hook") for name in found), (key, found)
