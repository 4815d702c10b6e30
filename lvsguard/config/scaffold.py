"""A first config from a few answers, commented for the person who will keep it.

The answers are written down as they are; what is wrong with them is found by ``loads``, whose
problems name the keys that they became.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lvsguard.core.config import CheckKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What ``init`` asks for."""

    director: str
    """Empty: the file names no director and goes by the host name."""
    interface: str
    vip: str
    """Address with prefix length, such as ``10.0.0.8/24``."""
    port: int
    realservers: Sequence[str]
    """Addresses."""
    check: CheckKind = CheckKind.HTTP
    path: str = "/"
    """For http and https."""
    scheduler: str = "rr"
    service: str = "web"


def scaffold(answers: Answers) -> str:
    """TOML text of a config; ends with a newline."""
    named = f"name = {_quote(answers.director)}\n" if answers.director else ""
    realservers = "".join(_REALSERVER.format(address=_quote(one)) for one in answers.realservers)
    return _HEAD.format(
        named=named,
        interface=_quote(answers.interface),
        service=_quote(answers.service),
        vip=_quote(answers.vip),
        address=_quote(_address(answers.vip, answers.port)),
        scheduler=_quote(answers.scheduler),
        check=_check(answers),
        realservers=realservers,
    )


def _address(vip: str, port: int) -> str:
    bare = vip.partition("/")[0]
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def _check(answers: Answers) -> str:
    lines = [f"kind = {_quote(answers.check)}"]
    if answers.check in {CheckKind.HTTP, CheckKind.HTTPS}:
        lines += [
            f"path = {_quote(answers.path)}",
            'expect_status = [200]           # ranges too: [200, "300-399"]',
            '#host = "www.example.org"       # Host header, and the name in the certificate',
        ]
    if answers.check is not CheckKind.NONE:
        lines += [
            'interval = "1s"                 # between two probes of a realserver that is up',
            'timeout = "1s"                  # for a whole probe; at most interval',
            "rise = 2                        # successes that bring a realserver back",
            "fall = 2                        # failures that take it out",
            'via = "vip"                     # as clients ask: finds one that lacks the VIP, too',
        ]
    return "\n".join(lines)


def _quote(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_HEAD = """\
# lvsguard: /etc/lvsguard/config.toml
# Check it:             lvsguard check
# See what it will do:  lvsguard plan
# All keys and bounds:  lvsguard check --schema, or docs/reference/config.md

[director]
{named}interface = {interface}              # carries the VIP

[[vip]]
name = {service}
addresses = [{vip}]

[[service]]
name = {service}
address = {address}
protocol = "tcp"
scheduler = {scheduler}                # as in ipvsadm(8)
forwarding = "dr"               # to the realserver's MAC address; it holds the VIP on ipvs0:
                                # lvsguard realserver up

# All realservers are asked this.
[service.check]
{check}
{realservers}
[telemetry]
listen = "127.0.0.1:9852"       # /metrics, /healthz, /readyz; false: off
"""

_REALSERVER = """
[[service.realserver]]
address = {address}
weight = 1                      # 0 gets no new connections
"""
