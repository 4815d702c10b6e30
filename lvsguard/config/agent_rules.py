"""Rules of agents: keys that fit the kind, times that fit each other."""

from __future__ import annotations

from typing import Final

from lvsguard.config.agent_schema import AgentKey, AgentTable
from lvsguard.config.leaf import period
from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import ServiceTable
from lvsguard.config.validate import entries
from lvsguard.core.agent import AgentKind

KEYS: Final = {AgentKind.TEXT: frozenset({"send"}), AgentKind.HTTP: frozenset({"path", "host"})}
"""Keys that one kind of agent takes and the other does not."""


def check_agents(sheet: Review, here: KeyPath, service: ServiceTable) -> None:
    """Every rule on the agents of a service and of its realservers."""
    _check_agent(sheet, (*here, "agent"), service.agent)
    for index, realserver in entries(service.realserver):
        _check_agent(sheet, (*here, "realserver", index, "agent"), realserver.agent)


def _check_agent(sheet: Review, path: KeyPath, agent: AgentKey) -> None:
    if agent is True:
        sheet.say(path, "true does not say whom to ask; write { port = 9100 }, or false for nobody")
    if not isinstance(agent, AgentTable):
        return
    for kind, keys in KEYS.items():
        for key in sorted((agent.model_fields_set & keys) if kind is not agent.kind else ()):
            sheet.say(
                (*path, key),
                f"only for {kind} agents; this one is {agent.kind}",
                (*path, "kind"),
            )
    if agent.timeout > agent.interval:
        is_default = "" if "timeout" in agent.model_fields_set else " (the default)"
        sheet.say(
            (*path, "timeout"),
            f"{period(agent.timeout)}{is_default} is longer than interval,"
            f" {period(agent.interval)}; an answer must end before the next question",
            (*path, "interval"),
        )
    if agent.step == 0:
        sheet.say((*path, "step"), "0 would never change a weight; write a share such as 0.25")
