"""What the golden transcripts of the lab forgive, and that it is nothing else."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.support.golden import GOLDEN
from tests.support.why_transcript import normalised

PRINTED = """\
10.0.0.42:80 is not in rotation in web, and not in the kernel's table, since 12:01:00 UTC (12s
ago).
  Its check http of 10.0.0.42:80 says down since 12:01:00 UTC (12s ago): L4CON connection
  refused (its host answers, but nothing listens there).
  canary saw it first, 12 ms before the verdict: closed after 59.9 s.
  It took one probe, 1 ms in all; the verdict has the id 9986d4e777.
what would bring it back
  - it counts as up again after 2 good answers in a row to its check http of 10.0.0.42:80, which
    asks every 1 s
  - look there whether its server runs and listens: ss -ltn

what happened
  2026-11-23T12:00:00.000Z  info     health            realserver 10.0.0.42:80 is up (was unknown): http L7OK 200  [807d7a318c]
  2026-11-23T12:01:00.100Z  warning  health            realserver 10.0.0.42:80 is down (was up): http L4CON connection refused (12 ms after a hint, canary: closed after 59.9 s)  [9986d4e777]
  2026-11-23T12:01:00.101Z  info     applied           applied: ipvsadm -d -t 10.0.0.8:80 -r 10.0.0.42:80  [9986d4e777]
"""  # noqa: E501
KEPT = """\
10.0.0.42:80 is not in rotation in web, and not in the kernel's table, since TIME (SPAN ago).
  Its check http of 10.0.0.42:80 says down since TIME (SPAN ago): L4CON connection refused (its host answers, but nothing listens there).
  canary saw it first, SPAN before the verdict: closed after SPAN.
  It took one probe, SPAN in all; the verdict has the id ID1.
what would bring it back
  - it counts as up again after 2 good answers in a row to its check http of 10.0.0.42:80, which asks every 1 s
  - look there whether its server runs and listens: ss -ltn
what happened
  TIME  warning  health            realserver 10.0.0.42:80 is down (was up): http L4CON connection refused (SPAN after a hint, canary: closed after SPAN)  [ID1]
  TIME  info     applied           applied: ipvsadm -d -t 10.0.0.8:80 -r 10.0.0.42:80  [ID1]
"""  # noqa: E501
BEGUN = datetime.fromisoformat("2026-11-23T12:00:30Z").timestamp()


def test_times_and_ids_are_taken_out_and_what_was_before_the_play() -> None:
    assert normalised(PRINTED, BEGUN) == KEPT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(12s\nago)", "(3h12m ago)"),
        ("12 ms before", "0.25 s before"),
        ("closed after 59.9 s.", "closed after 3 s."),
        ("9986d4e777", "0123456789"),
        ("1 ms in all", "0.3 s in all"),
    ],
)
def test_another_run_of_the_same_play_is_the_same(before: str, after: str) -> None:
    assert before in PRINTED
    assert normalised(PRINTED.replace(before, after), BEGUN) == KEPT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("canary saw", "arp saw"),
        ("10.0.0.42:80 says", "10.0.0.43:80 says"),
        ("L4CON connection\n  refused", "L4TOUT no answer"),
        ("one probe", "2 probes in a row"),
        ("every 1 s", "every 2 s"),
        ("after 2 good", "after 3 good"),
        ("ss -ltn", "ss -lun"),
        ("info     applied", "warning  applied"),
        ("80  [9986d4e777]", "80  [0123456789]"),
        ("id 9986d4e777", "id none"),
        (", and not in the kernel's table", ""),
    ],
)
def test_a_cause_a_detector_a_name_or_an_advice_that_differs_is_seen(
    before: str, after: str
) -> None:
    assert before in PRINTED
    assert normalised(PRINTED.replace(before, after), BEGUN) != KEPT


def test_events_of_one_moment_may_be_sorted() -> None:
    *head, first, second = PRINTED.splitlines()
    other = "\n".join([*head, second, first, ""])
    assert normalised(other, BEGUN) != KEPT
    assert normalised(other, BEGUN, sorted_events=True) == normalised(
        PRINTED, BEGUN, sorted_events=True
    )


def test_a_line_of_the_timeline_that_is_no_event_is_seen() -> None:
    with pytest.raises(AssertionError, match="no event: 'oops'"):
        normalised(f"{PRINTED}oops\n", BEGUN)


@pytest.mark.parametrize("file", sorted((GOLDEN / "why").glob("*.txt")), ids=lambda f: f.stem)
def test_the_words_of_every_answer_are_kept(file: Path) -> None:
    """Of each answer that the unit tests know: all but times and ids is there, in its order."""
    printed = file.read_text().partition("\n")[2]
    left = normalised(printed).split()
    words = [word.strip("()[].,;:") for word in printed.split()]
    plain = [word for word in words if word and not any(c.isdigit() for c in word)]
    rest = iter(word.strip("()[].,;:") for word in left)
    assert all(any(word == one for one in rest) for word in plain if word not in ("ms", "s", "UTC"))
