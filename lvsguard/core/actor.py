"""Who did something, as it is kept and shown: ``alice (uid 1000)``, ``uid 1000``, or what is no
user at all, such as ``SIGHUP`` or ``expiry``. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TEXT: Final = re.compile(
    r"(?:(?P<user>.{1,256}) \(uid (?P<uid>\d{1,10})\)|uid (?P<alone>\d{1,10}))"
    r"(?: on (?P<director>\S{1,63}))?",
    re.ASCII | re.DOTALL,
)
_ELSEWHERE: Final = re.compile(r" on \S{1,63}\Z", re.ASCII)
_FROM: Final = re.compile(r" \(from [^()]*\)\Z")


@dataclass(frozen=True, slots=True)
class Actor:
    """A user of this host or of another director's, as the kernel told it there."""

    user: str
    """Empty: the number has no name."""
    uid: int
    director: str = ""
    """Where it was; empty: here."""

    def __str__(self) -> str:
        who = f"{self.user} (uid {self.uid})" if self.user else f"uid {self.uid}"
        return f"{who} on {self.director}" if self.director else who


def actor(text: str) -> Actor | None:
    """Read it back; None where it names no user."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    return Actor(match["user"] or "", int(match["uid"] or match["alone"]), match["director"] or "")


def same_actor(one: str, other: str) -> bool:
    """Whether two texts name the same one, on whichever director and from whichever address: a user
    of this host is who has that number and name on another, a certificate's name is it anywhere."""
    left, right = actor(one), actor(other)
    if left is None and right is None:
        return _anywhere(one) == _anywhere(other)
    if left is None or right is None:
        return False
    named = left.user and right.user  # a name service may have been slow
    return left.uid == right.uid and (not named or left.user == right.user)


def _anywhere(text: str) -> str:
    return _FROM.sub(" (from)", _ELSEWHERE.sub("", text))
