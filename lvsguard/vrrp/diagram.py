"""The table of transitions as a page: a Mermaid diagram and a table in Markdown. Pure."""

from __future__ import annotations

from lvsguard.vrrp.transitions import ROLES, TABLE, State


def mermaid() -> str:
    """The states and what leads from one to another, as a Mermaid state diagram."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (before, trigger), transition in TABLE.items():
        arrows.setdefault((before, transition.after), []).append(trigger)
    lines = ["stateDiagram-v2", f"    [*] --> {State.INIT}"]
    for (before, after), triggers in arrows.items():
        lines.append(f"    {before} --> {after}: {' / '.join(triggers)}")
    return "\n".join(lines) + "\n"


def states() -> str:
    """The states and the role that each is shown as, as a table in Markdown."""
    rows = [f"| {state} | {role} |" for state, role in ROLES.items()]
    return "\n".join(["| state | shown as |", "|---|---|", *rows]) + "\n"


def transitions() -> str:
    """Every row, as a table in Markdown."""
    rows = [
        f"| {before} | {trigger} | {row.after} | {', '.join(row.effects) or '-'} | {row.when} |"
        for (before, trigger), row in TABLE.items()
    ]
    head = ["| from | cause | to | then | when |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


_HEAD = (
    "Made from `lvsguard/vrrp/transitions.py`: the program runs on the same rows. Not to be edited"
    " by hand; `pytest tests/unit/vrrp/test_transitions.py --update-golden` writes it."
)
_GENTLY = (
    "`yielding` and `stopping` are a master that leaves gently: it has sent priority 0 and goes on"
    " forwarding until it hears its successor."
)


def page() -> str:
    """docs/reference/vrrp-states.md whole."""
    parts = (
        "# VRRP states",
        _HEAD,
        f"```mermaid\n{mermaid()}```",
        _GENTLY,
        states().strip(),
        "## Every transition",
        "The cause is what `status` and `events` print.",
        transitions().strip(),
    )
    return "\n\n".join(parts) + "\n"
