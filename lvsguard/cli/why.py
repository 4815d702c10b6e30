"""why: why a realserver, a service or a VIP is as it is."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command, add_json, add_socket
from lvsguard.cli.events import line
from lvsguard.cli.exits import Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import coloured, paint, printable, say

if TYPE_CHECKING:
    from lvsguard.admin.why_reply import WhyAnswer, WhyReply

WIDTH = 96
"""Columns that sentences are wrapped at, where there is room for them."""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "why",
        show,
        summary="say why a realserver, a service or a VIP is as it is",
        description="Say in a few sentences whether a realserver is in rotation, since when and\n"
        "why: which check said what on which evidence, which admin did what and for which\n"
        "reason, and what would bring it back. Of a VIP: who is master, since when and why. Then\n"
        "the latest events about it.",
        examples=[
            ("lvsguard why 10.0.0.42", "in every service that has it"),
            ("lvsguard why rs1 --service web", "by its name, in one of them"),
            ("lvsguard why 10.0.0.8", "the VIP, and the services on it"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE),
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="a realserver, a service or a VIP: address, address:port, or its name in the config",
    )
    parser.add_argument("--service", metavar="NAME", help="of a realserver: in this service only")
    add_socket(parser)
    add_json(parser, "print the answer as JSON")


def show(args: argparse.Namespace) -> int:
    """``lvsguard why``."""
    with daemon(args) as client:
        reply = client.why(args.target, args.service)
    if args.json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(reply)).decode() + "\n")
        return Exit.DONE
    say(*lines(reply, coloured()))
    return Exit.DONE


def lines(reply: WhyReply, colours: bool, width: int = WIDTH) -> Iterator[str]:
    """The answers for people; sentences are wrapped at ``width``, events are a line each."""
    for number, answer in enumerate(reply.answers):
        if number:
            yield ""
        yield from _answer(answer, colours, min(width, WIDTH))
    if reply.timeline:
        yield ""
        yield paint("what happened", "bold", colours)
        yield from (f"  {line(event, colours)}" for event in reply.timeline)


def _answer(answer: WhyAnswer, colours: bool, width: int) -> Iterator[str]:
    first, *rest = answer.sentences
    colour = {True: "green", False: "red", None: "bold"}[answer.serves]
    head, *more = _wrapped(first, width, "")
    yield paint(head, colour, colours)
    yield from (paint(one, colour, colours) for one in more)
    for sentence in rest:
        yield from _wrapped(sentence, width, "  ")
    if answer.remedies:
        yield paint(
            "what to do" if answer.serves is not False else "what would bring it back",
            "bold",
            colours,
        )
        for remedy in answer.remedies:
            yield from _wrapped(remedy, width, "  - ", "    ")


def _wrapped(text: str, width: int, first: str, rest: str | None = None) -> list[str]:
    """Lines of a sentence. Commands are not broken within a word, so that they can be copied."""
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
