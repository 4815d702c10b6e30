#!/usr/bin/env python3
"""Write the man pages: one for each command, made from the parser, and lvsguard.toml(5).

    python deploy/man/build.py OUT      ->  OUT/man8/lvsguard*.8  OUT/man5/lvsguard.toml.5

Nothing is written by hand in them but what a parser cannot know: environment, files, see also.
SOURCE_DATE_EPOCH sets the pages' date.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from lvsguard import __version__  # noqa: E402
from lvsguard.cli.main import build_parser  # noqa: E402
from lvsguard.config.document import Key, Section, sections  # noqa: E402

CONFIG_PAGE: Final = "lvsguard.toml"
SEE_ALSO: Final = ("ipvsadm(8)", "ip(8)", "keepalived(8)", "systemd.service(5)")
FILES: Final = (
    ("/etc/lvsguard/config.toml", f"The configuration; see {CONFIG_PAGE}(5)."),
    ("/run/lvsguard/lvsguard.sock", "The admin socket of the running director."),
    ("/var/lib/lvsguard/", "Overrides and history, which outlive restarts and reboots."),
    ("/run/lvsguard-realserver/", "What 'realserver up' found, for 'realserver down'."),
)
ENVIRONMENT: Final = (
    ("LVSGUARD_CONFIG", "Configuration file, where --config is not given."),
    ("LVSGUARD_SOCKET", "Admin socket, where --socket is not given."),
)
CONFIG_ABOUT: Final = (
    "The configuration of lvsguard(8) is TOML. Unknown keys are errors, and a file with an error"
    " is refused whole: a running director goes on with what it has. 'lvsguard check' lists every"
    " mistake with its line.",
    'A duration is text such as "200ms", "1s", "5m", "2h" or "1d", or a number of seconds.',
    "One file may serve several directors. A value that is marked 'per director' may be a table"
    " keyed by director name instead: weight = { director1 = 10, director2 = 20 }.",
)


def main(arguments: list[str]) -> int:
    """Write every page below the folder given."""
    if len(arguments) != 1:
        sys.stderr.write("usage: build.py OUT\n")
        return 2
    for name, text in pages():
        path = Path(arguments[0]) / f"man{name[-1]}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def pages() -> Iterator[tuple[str, str]]:
    """File name and text of each page."""
    parser = build_parser()
    yield "lvsguard.8", root_page(parser)
    names = [f"{command.prog.replace(' ', '-')}(8)" for _, command in commands(parser)]
    for summary, command in commands(parser):
        page = command.prog.replace(" ", "-")
        others = [name for name in names if name != f"{page}(8)"]
        yield f"{page}.8", command_page(page, summary, command, others)
    yield f"{CONFIG_PAGE}.5", config_page()


def commands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    """Summary and parser of each command of a parser, in order."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [(summaries.get(name, ""), sub) for name, sub in action.choices.items()]
    return found


def root_page(parser: argparse.ArgumentParser) -> str:
    """lvsguard(8)."""
    listed = [
        (f"{bold(command.prog.replace(' ', '-'))}(8)", prose(summary))
        for summary, command in commands(parser)
    ]
    parts = [
        *head("lvsguard", 8, "Linux Virtual Server in direct-routing mode, run and repaired"),
        *section("SYNOPSIS", [f"{bold('lvsguard')} {italic('COMMAND')} [{italic('...')}]"]),
        *section("DESCRIPTION", paragraphs(parser.description)),
        *section("COMMANDS", terms(listed)),
        *options(parser),
        *epilog(parser),
        *section("ENVIRONMENT", terms((bold(name), prose(text)) for name, text in ENVIRONMENT)),
        *section("FILES", terms((italic(name), prose(text)) for name, text in FILES)),
        *see_also([f"{CONFIG_PAGE}(5)", *SEE_ALSO]),
    ]
    return "\n".join(parts) + "\n"


def command_page(
    page: str, summary: str, parser: argparse.ArgumentParser, others: list[str]
) -> str:
    """The page of one command, with its own commands in it if it has any."""
    inner = [sub for _, sub in commands(parser)]
    parts = [
        *head(page, 8, summary),
        *section("SYNOPSIS", synopsis(inner or [parser])),
        *section("DESCRIPTION", paragraphs(parser.description)),
    ]
    for sub in inner:
        parts += section(sub.prog.removeprefix("lvsguard ").upper(), paragraphs(sub.description))
        parts += [line.replace(".SH ", ".SS ", 1) for line in (*options(sub), *epilog(sub))]
    if not inner:
        parts += [*options(parser), *epilog(parser)]
    parts += see_also(["lvsguard(8)", *others, f"{CONFIG_PAGE}(5)"])
    return "\n".join(parts) + "\n"


def config_page() -> str:
    """lvsguard.toml(5)."""
    parts = [
        *head(CONFIG_PAGE, 5, "configuration file of lvsguard"),
        *section("SYNOPSIS", [italic("/etc/lvsguard/config.toml")]),
        *section("DESCRIPTION", paragraphs("\n\n".join(CONFIG_ABOUT))),
    ]
    for one in sections():
        parts += config_section(one)
    example = (CHECKOUT / "config.example.toml").read_text()
    parts += [".SH EXAMPLE", ".EX", *map(literal_line, example.rstrip().splitlines()), ".EE"]
    parts += see_also(["lvsguard(8)", "lvsguard-check(8)", *SEE_ALSO])
    return "\n".join(parts) + "\n"


def config_section(one: Section) -> list[str]:
    """One table of the file: what it is for and its keys."""
    return [
        f".SH {literal(one.header)}",
        *paragraphs(one.about),
        *terms(
            (bold(key.name), [*prose(key.description), ".br", *prose(key_facts(key))])
            for key in one.keys
        ),
    ]


def key_facts(key: Key) -> str:
    """Value and default of a key, on a line of their own."""
    facts = [f"Value: {key.allowed}" + ("; per director." if key.per_director else ".")]
    if key.required:
        facts.append("Required.")
    elif key.default:
        facts.append(f"Default: {key.default}.")
    return " ".join(facts)


# The parts of a page


def head(page: str, number: int, summary: str) -> list[str]:
    """Title and NAME."""
    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.datetime.fromtimestamp(int(stamp), datetime.UTC) if stamp else now
    title = f'.TH {literal(page.upper())} {number} {day:%Y-%m-%d} "lvsguard {__version__}"'
    # Left-adjusted and without hyphenation, which would break names and values.
    return [title, ".nh", ".ad l", ".SH NAME", f"{literal(page)} \\- {prose_line(summary)}"]


def section(title: str, lines: Iterable[str]) -> list[str]:
    """A section with its heading."""
    return [f".SH {literal(title)}", *lines]


def see_also(names: list[str]) -> list[str]:
    """The last section; ``names`` carry their section numbers."""
    ordered = sorted(names, key=lambda name: (name.partition("(")[2], name))
    shown = [bold(name.partition("(")[0]) + "(" + name.partition("(")[2] for name in ordered]
    return section("SEE ALSO", wrapped(", ".join(shown)))


def terms(entries: Iterable[tuple[str, list[str]]]) -> list[str]:
    """Tagged paragraphs."""
    return [line for tag, text in entries for line in (".TP", tag, *(text or ["\\&"]))]


def synopsis(parsers: list[argparse.ArgumentParser]) -> list[str]:
    """One line of usage for each parser."""
    lines: list[str] = []
    for parser in parsers:
        groups = [set(map(id, g._group_actions)) for g in parser._mutually_exclusive_groups]
        words: list[str] = []
        actions = [a for a in parser._actions if not isinstance(a, argparse._HelpAction)]
        while actions:
            first = actions.pop(0)
            mates = next((group for group in groups if id(first) in group), set())
            same = [first, *(a for a in actions if id(a) in mates)]
            actions = [a for a in actions if a not in same]
            spelled = " | ".join(usage(a) for a in same)
            optional = not any(a.required for a in same) and first.nargs != "*"
            words.append(f"[{spelled}]" if optional else spelled)
        # Options first, as argparse prints them.
        words.sort(key=lambda word: not word.startswith(("[\\fB", "\\fB")))
        lines += ([".br"] if lines else []) + wrapped(" ".join([bold(parser.prog), *words]))
    return lines


def usage(action: argparse.Action) -> str:
    """How an argument is written: the long option, or the value of a positional one."""
    if not action.option_strings:
        name = italic(value(action))
        return {"*": f"[{name} ...]", "+": f"{name} ..."}.get(str(action.nargs), name)
    option = bold(action.option_strings[-1])
    return option if action.nargs == 0 else f"{option} {italic(value(action))}"


def value(action: argparse.Action) -> str:
    """The name of an argument's value, or what it may be."""
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def options(parser: argparse.ArgumentParser) -> list[str]:
    """Arguments and options with their help."""
    entries = [
        (spelling(action), prose(help_text(parser, action)))
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
    ]
    return section("OPTIONS", terms(entries))


def spelling(action: argparse.Action) -> str:
    """All names of an option, or the name of an argument."""
    if not action.option_strings:
        return italic(value(action))
    suffix = "" if action.nargs == 0 else f" {italic(value(action))}"
    return ", ".join(bold(option) + suffix for option in action.option_strings)


def help_text(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """An argument's help with its %(default)s and the like filled in."""
    values = {**vars(action), "prog": parser.prog}
    values["choices"] = ", ".join(map(str, action.choices)) if action.choices else ""
    text = (action.help or "") % values
    if action.choices and value(action) != "|".join(map(str, action.choices)):
        text += f" (one of {values['choices']})"
    return text


def epilog(parser: argparse.ArgumentParser) -> list[str]:
    """The sections of an epilog: ``title:``, then lines indented by two, their text by more."""
    lines: list[str] = []
    tag = ""
    for line in (parser.epilog or "").splitlines():
        text = line.strip()
        if text and line[0] != " " and text.endswith(":"):
            lines.append(f".SH {literal(text[:-1].upper())}")
        elif line.startswith("      "):
            lines += prose(text)
        elif line.startswith("  "):
            # "  0  done" carries its text on the same line.
            tag, _, rest = text.partition("  ")
            lines += [".TP", bold(tag), *prose(rest)]
        elif text:
            lines += [".PP", *prose(text)]
    return lines


# Text in roff's terms


def paragraphs(text: str | None) -> list[str]:
    """Prose; an empty line begins a paragraph."""
    lines: list[str] = []
    for part in (text or "").split("\n\n"):
        lines += ([".PP"] if lines else []) + prose(part)
    return lines


def prose(text: str) -> list[str]:
    """Running text as source lines."""
    return wrapped(prose_line(" ".join(text.split())))


def prose_line(text: str) -> str:
    """Running text: hyphens stay hyphens, options and backslashes are literal."""
    text = text.replace("\\", "\\e")
    return " ".join(
        w.replace("-", "\\-") if w.lstrip("('\"").startswith("-") else w for w in text.split(" ")
    )


def wrapped(text: str) -> list[str]:
    """Source lines of at most 79 characters, none of which roff takes for a request."""
    lines = textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)
    return [f"\\&{line}" if line[:1] in ".'" else line for line in lines]


def literal(text: str) -> str:
    """Text that must come out character by character, and can be copied from the page."""
    for plain, escape in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("`", "\\(ga")):
        text = text.replace(plain, escape)
    return text.replace("^", "\\(ha").replace("~", "\\(ti").replace('"', "\\(dq")


def literal_line(line: str) -> str:
    """A line of an example."""
    return f"\\&{literal(line)}"


def bold(text: str) -> str:
    """Literal text in bold."""
    return f"\\fB{literal(text)}\\fR"


def italic(text: str) -> str:
    """A name that stands for something."""
    return f"\\fI{literal(text)}\\fR"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
