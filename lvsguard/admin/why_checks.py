"""Why a realserver's checks find what they find, in sentences, and what would change it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lvsguard.admin.entry import Entry
from lvsguard.core.health import CUT, FailureClass, Result, Verdict
from lvsguard.core.model import endpoint
from lvsguard.core.moment import duration, when
from lvsguard.core.placement import severity
from lvsguard.core.snapshot import CheckStatus

MEANS: Final = {
    FailureClass.REFUSED: "its host answers, but nothing listens there",
    FailureClass.HOST_DEAD: "its host does not answer, not even on its own link",
    FailureClass.TIMEOUT: "it does not answer in time",
    FailureClass.WRONG: "it answers, but not as it should",
    FailureClass.VIP_PATH: "it is well on its own address, but not on the VIP, where clients ask",
    FailureClass.LOCAL: "this director could not even ask",
}
REJECTED: Final = "a firewall rejects this director's probes, which says nothing of its server"
HUNG: Final = "it takes connections, but does not answer in time: it hangs, or is overloaded"

LOOK_AT: Final = {
    FailureClass.REFUSED: "look there whether its server runs and listens: ss -ltn",
    FailureClass.HOST_DEAD: "look at the host: is it on, and is its link up?",
    FailureClass.TIMEOUT: "look whether its host is up, and for a firewall that drops",
    FailureClass.WRONG: "look at what its server answers, and at what the check expects",
    FailureClass.VIP_PATH: "look there: lvsguard realserver check",
    FailureClass.LOCAL: "look at this director's own addresses, routes and limits",
}
LOOK_AT_REJECTED: Final = "look at the firewall that rejects: it must let this director in"
LOOK_AT_HUNG: Final = "look at what its server is busy with, or waits for"


def deciding(checks: Sequence[CheckStatus]) -> CheckStatus | None:
    """The check that decides: dead over down over unknown over up; None: there is none."""
    return max(checks, key=lambda one: severity(one.health), default=None)


def sentences(check: CheckStatus, history: Sequence[Entry], now: float) -> Iterator[str]:
    """What a check says, since when, on which evidence. ``now`` is wall clock."""
    cause = _cause(check)
    if cause is None or check.verdict is Verdict.UNKNOWN:
        if check.health.note:
            yield f"Of its check {_name(check)}: {check.health.note}."
        return
    verdict = f"Its check {_name(check)} says {check.verdict} since {when(check.since, now)}"
    meaning = f" ({_meaning(cause)})" if cause.failure is not None else ""
    yield f"{verdict}: {cause.code} {cause.reason}{meaning}."
    if check.health.kept:
        yield "The check began anew since then, with the daemon or by a reload, and found the same."
    if check.verdict is Verdict.DOWN:
        yield from _evidence(check, history)
    if cause.seen:
        yield f"Its answer began: {cause.seen!r}."
    latest = check.health.result
    if latest is not None and (latest.code, latest.reason) != (cause.code, cause.reason):
        yield f"The latest probe says: {latest.code} {latest.reason}."
    if check.health.note:
        yield f"Of its detectors: {check.health.note}."


def remedies(check: CheckStatus) -> Iterator[str]:
    """What brings a realserver back that this check holds down."""
    cause = _cause(check)
    if check.check is None or cause is None:
        return
    timing = check.check.spec.timing
    missing = max(timing.rise - check.health.successes, 1)
    good = "a good answer" if missing == 1 else f"{missing} good answers in a row"
    yield (
        f"it counts as up again after {good} to its check {_name(check)},"
        f" which asks every {duration(timing.down_interval)}"
    )
    if cause.failure is not None:
        if _rejected(cause):
            yield LOOK_AT_REJECTED
        else:
            yield LOOK_AT_HUNG if _hung(cause) else LOOK_AT[cause.failure]


def since(checks: Sequence[CheckStatus]) -> float | None:
    """Since when (wall clock) the check that decides says so."""
    check = deciding(checks)
    return None if check is None or check.verdict is Verdict.UNKNOWN else check.since


def dead(check: CheckStatus) -> bool:
    """Whether nobody is left to serve."""
    cause = _cause(check)
    return cause is not None and cause.failure in CUT


def _name(check: CheckStatus) -> str:
    if check.check is None:
        return str(check.kind)
    return f"{check.check.how} of {endpoint(check.check.address, check.check.port)}"


def _cause(check: CheckStatus) -> Result | None:
    return check.health.cause or check.health.result


def _meaning(cause: Result) -> str:
    if cause.failure is None:
        return ""
    if _rejected(cause):
        return REJECTED
    return HUNG if _hung(cause) else MEANS[cause.failure]


def _rejected(cause: Result) -> bool:
    return cause.failure is FailureClass.WRONG and cause.code == "L4CON"


def _hung(cause: Result) -> bool:
    return cause.failure is FailureClass.TIMEOUT and cause.code not in ("L4TOUT", "L4CON")


def _evidence(check: CheckStatus, history: Sequence[Entry]) -> Iterator[str]:
    """How the verdict came about: what made the probe look, how many there were, and its id."""
    hint, trace = check.health.hint, check.health.trace
    if hint is not None:
        before = duration(max(_between(check, hint.at), 0.0))
        yield f"{hint.detector} saw it first, {before} before the verdict: {hint.what}."
    change = next((e for e in reversed(history) if _makes(e, check)), None)
    words = []
    if change is not None:
        probes, took = change.data.get("probes"), change.data.get("took")
        if isinstance(probes, int) and isinstance(took, float | int) and probes > 0:
            times = "one probe" if probes == 1 else f"{probes} probes in a row"
            words.append(f"It took {times}, {duration(float(took))} in all")
    if trace:
        words.append(f"{'t' if words else 'T'}he verdict has the id {trace}")
    if words:
        yield f"{'; '.join(words)}."


def _between(check: CheckStatus, at: float) -> float:
    return check.health.since - at


def _makes(entry: Entry, check: CheckStatus) -> bool:
    """Whether an event is the one that made the verdict."""
    if entry.kind != "health":
        return False
    if check.health.trace and entry.data.get("trace"):
        return entry.data["trace"] == check.health.trace
    target = check.check
    where = "" if target is None else endpoint(target.address, target.port)
    return entry.data.get("realserver") == where and entry.data.get("after") == check.verdict
