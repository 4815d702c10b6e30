"""The reference page of the commands, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from lvsguard.cli.exits import MEANING, Exit

_HEAD = """\
# Commands

Made from the command line itself (`lvsguard COMMAND --help`); so are the man pages and the shell
completion.

"""


def page(parser: argparse.ArgumentParser) -> str:
    """The page, in Markdown."""
    return _HEAD + _exits() + "".join(_command(one) for one in _leaves(parser))


def _exits() -> str:
    rows = [f"| {status.value} | {MEANING[status]} |" for status in Exit]
    return "\n".join(["| exit status | meaning |", "|---|---|", *rows]) + "\n"


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    subs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not subs:
        yield parser
    for action in subs:
        for sub in action.choices.values():
            yield from _leaves(sub)


def _command(parser: argparse.ArgumentParser) -> str:
    arguments = [a for a in parser._actions if not isinstance(a, argparse._HelpAction)]
    lines = [f"\n## {parser.prog}\n", " ".join((parser.description or "").split()), ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| {_spelling(a)} | {_help(a)} |" for a in arguments]
        lines += [""]
    lines += ["```", (parser.epilog or "").strip(), "```"]
    return "\n".join(lines) + "\n"


def _spelling(action: argparse.Action) -> str:
    takes = action.nargs != 0
    name = str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest)
    value = name.replace("|", r"\|")
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{o} {value}`" if takes else f"`{o}`" for o in action.option_strings)


def _help(action: argparse.Action) -> str:
    text = (action.help or "") % {"default": action.default, "prog": "lvsguard"}
    return text.replace("|", r"\|")
