"""Rules of hooks: each is one thing, has a name of its own, and names services that there are."""

from __future__ import annotations

from pathlib import Path

from lvsguard.config.leaf import near, show
from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import Document
from lvsguard.config.secret import read_key
from lvsguard.config.validate import Fault, entries

HOOKS_MAX = 32


def check_hooks(sheet: Review) -> None:
    """Every rule on the hooks."""
    hooks = sheet.document.hook
    if len(hooks) > HOOKS_MAX:
        sheet.say(("hook",), f"{len(hooks)} hooks; at most {HOOKS_MAX}")
    names: set[str] = set()
    services = [
        service.name
        for service in sheet.document.service
        if "name" in service.model_fields_set  # a wrong one was cut out and is told elsewhere
    ]
    for number, hook in entries(hooks):
        here: KeyPath = ("hook", number)
        if "name" not in hook.model_fields_set:
            continue
        if (hook.command is None) == (hook.url is None):
            both = "command and url" if hook.url is not None else "neither command nor url"
            sheet.say(here, f"has {both}; give it one of the two")
        elif hook.url is None and hook.key is not None:
            sheet.say((*here, "key"), "signs what goes to a url, and there is none; leave it out")
        if hook.name in names:
            sheet.say((*here, "name"), f"{show(hook.name)} is there twice; name each hook once")
        names.add(hook.name)
        for service in hook.services:
            if service not in services:
                guess = near(service, services)
                hint = f"; did you mean {show(guess)}?" if guess else ""
                wrong = f"{show(service)} is no service of this file{hint}"
                sheet.say((*here, "services"), wrong if hint else f"{wrong}; correct it")


def read_hook_keys(document: Document) -> tuple[dict[Path, bytes], list[Fault]]:
    """The secrets in the files of hooks, and what is wrong with those files."""
    found: dict[Path, bytes] = {}
    faults: list[Fault] = []
    for number, hook in entries(document.hook):
        if hook.key is not None and hook.url is not None:
            path = Path(hook.key)
            try:
                found[path] = read_key(path)
            except ValueError as error:
                faults.append(Fault(("hook", number, "key"), str(error)))
    return found, faults
