"""check, reload, init: the configuration file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lvsguard.cli.arguments import (
    Commands,
    add_command,
    add_config,
    add_json,
    add_socket,
    config_path,
)
from lvsguard.cli.configfile import interfaces, loaded
from lvsguard.cli.exits import Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import count, say


def add(commands: Commands) -> None:
    """Declare the commands."""
    checking = add_command(
        commands,
        "check",
        check,
        summary="check a configuration file",
        description="Check a configuration file and tell every problem in it, with file and line.\n"
        "The file is judged by itself, as on any host; --here adds what only this host can tell.",
        examples=[
            ("lvsguard check --here && lvsguard reload", "on a director, the careful way"),
            ("lvsguard check -c new.toml --director director2", "as the other director reads it"),
            ("lvsguard check --schema > lvsguard.schema.json", "for an editor's completion"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE),
    )
    add_config(checking)
    checking.add_argument(
        "--director", metavar="NAME", help="check as the director of this name (default: this host)"
    )
    checking.add_argument(
        "--here",
        action="store_true",
        help="hold it against this host's interfaces too, as the daemon does",
    )
    checking.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of configuration files instead"
    )
    add_json(checking, "print the result as JSON")
    reloading = add_command(
        commands,
        "reload",
        reload,
        summary="have the daemon read its configuration again",
        description="Have the daemon read its configuration file again. A file with problems is\n"
        "refused whole, and everything stays as it was.",
        examples=[
            ("lvsguard reload", "after an edit that lvsguard check --here has nothing against")
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE),
    )
    add_socket(reloading)
    add_json(reloading, "print the daemon's answer as JSON")


def check(args: argparse.Namespace) -> int:
    """``lvsguard check``."""
    if args.schema:
        from lvsguard.config.json_schema import json_schema

        sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
        return Exit.DONE
    path = config_path(args)
    if args.json:
        return _check_json(path, args)
    config = loaded(path, args.director, here=args.here)
    realservers = sum(len(service.realservers) for service in config.services)
    checks = {c for s in config.services for r in s.realservers for c in r.checks}
    say(
        f"{path}: good: director {config.director}, {count(len(config.addresses), 'VIP')}, "
        f"{count(len(config.services), 'service')}, {count(realservers, 'realserver')}, "
        f"{count(len(checks), 'check')} (digest {config.digest})"
    )
    return Exit.DONE


def _check_json(path: Path, args: argparse.Namespace) -> int:
    from lvsguard.config.load import load
    from lvsguard.config.problem import ConfigError

    result: dict[str, object]
    try:
        present = interfaces() if args.here else None
        config = load(path, director=args.director, interfaces=present, elsewhere=not args.here)
        result = {"ok": True, "digest": config.digest, "problems": []}
    except ConfigError as error:
        problems = [
            {"file": p.file, "line": p.line, "key": p.key, "message": p.message}
            for p in error.problems
        ]
        result = {"ok": False, "digest": None, "problems": problems}
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return Exit.DONE if result["ok"] else Exit.USAGE


def reload(args: argparse.Namespace) -> int:
    """``lvsguard reload``."""
    with daemon(args) as client:
        reply = client.reload()
    if args.json:
        sys.stdout.write(json.dumps({"digest": reply.digest, "steps": reply.steps}) + "\n")
    else:
        say(f"configuration {reply.digest} is in force: {count(reply.steps, 'kernel step')}")
    return Exit.DONE
