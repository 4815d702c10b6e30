"""The programs of the how-to page, as they stand there."""

from __future__ import annotations

import sys
import time
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from lvsguard.core.event import Level
from lvsguard.core.hook import HookConfig, Occurrence
from lvsguard.hooks import command
from lvsguard.hooks.body import signature
from tests.support.documents import CHECKOUT, blocks

pytestmark = pytest.mark.slow
VERIFY, MAIL = (
    block.text
    for block in blocks((CHECKOUT / "docs/howto/hooks.md").read_text())
    if block.language == "python"
)
HOSTILE = "rs1 is down: said\r\nBcc: mallory@example.org\n\nno"


async def mailed(folder: Path, text: str) -> Message:
    """What the script gives to sendmail."""
    folder.chmod(0o755)
    script, sendmail, out = folder / "lvsguard-mail", folder / "sendmail", folder / "out"
    script.write_text(MAIL.replace("/usr/bin/python3", sys.executable))
    sendmail.write_text(f'#!/bin/sh\n[ "$1 $2" = "-t -i" ] && cat > {out}\n')
    for program in (script, sendmail):
        program.chmod(0o755)
    hook = HookConfig("mail", (str(script), "ops@example.org", str(sendmail)), timeout=30)
    event = Occurrence("director1", 7, time.time(), "health", Level.WARNING, text, {"a": 1})
    told = await command.run(hook, event)
    assert told.why == ""
    return message_from_bytes(out.read_bytes())


async def test_the_mail_says_what_happened_and_where(tmp_path: Path) -> None:
    mail = await mailed(tmp_path, "rs1 is down")
    assert mail["To"] == "ops@example.org"
    assert mail["Subject"] == "[director1] rs1 is down"
    assert '"kind": "health"' in str(mail.get_payload())


async def test_nobody_writes_headers_into_it(tmp_path: Path) -> None:
    mail = await mailed(tmp_path, HOSTILE)
    assert mail["Bcc"] is None
    assert "mallory" in mail["Subject"]


def test_a_signature_is_verified_as_the_page_says() -> None:
    names: dict[str, object] = {}
    exec(VERIFY, names)
    genuine = names["genuine"]
    assert callable(genuine)
    assert genuine(b"key", b"body", signature(b"key", b"body"))
    assert not genuine(b"key", b"other", signature(b"key", b"body"))
