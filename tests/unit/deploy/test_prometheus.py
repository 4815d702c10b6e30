"""The rules for Prometheus: promtool plays each alert, and each says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lvsguard.telemetry.catalog import CATALOG

CHECKOUT = Path(__file__).parents[3]
RULES = CHECKOUT / "deploy/prometheus/lvsguard.rules.yml"
PLAYS = Path(__file__).with_name("lvsguard.rules.test.yml")
LAB = sorted((CHECKOUT / "tests/interop").glob("test_prometheus*.py"))
BY_OTHER_WORDS = {"LvsguardChecksStalled", "LvsguardCertificateExpiring"}
"""Alerts that the plays wait for otherwise."""
PROMTOOL = shutil.which("promtool")


def rules() -> list[str]:
    """The text of each alert rule."""
    parts = re.split(r"^      - (?=alert:|record:)", RULES.read_text(), flags=re.MULTILINE)
    return [part for part in parts if part.startswith("alert:")]


def name(rule: str) -> str:
    return rule.partition("\n")[0].removeprefix("alert: ")


RECORDED = re.findall(r"record: (\S+)", RULES.read_text())
ALERTS = list(dict.fromkeys(map(name, rules())))


@pytest.mark.slow
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing (Debian package: prometheus)")
def test_each_alert_fires_and_does_not_and_recordings_are_right_as_promtool_plays_them() -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "test", "rules", str(PLAYS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def seconds(played: str) -> int:
    """The time that it begins with."""
    units = re.findall(r"(\d+)([hms])", played.partition("\n")[0])
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in units)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_played_silent_then_firing_then_silent(alert: str) -> None:
    """In one play."""
    told = []
    for play in re.split(r"^  - name: ", PLAYS.read_text(), flags=re.MULTILINE):
        times = re.split(r"^      - eval_time: ", play, flags=re.MULTILINE)[1:]
        own = [one for one in times if re.search(rf"^ +alertname: {alert}$", one, re.MULTILINE)]
        own.sort(key=seconds)
        told.append("".join("!" if "exp_alerts" in one else "." for one in own))
    assert any(re.fullmatch(r"\.+!+\.+", one) for one in told), set(told)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_fires_and_ends_in_the_lab(alert: str) -> None:
    text = "".join(play.read_text() for play in LAB)
    begins = set(re.findall(r"wait_for\(\s*\"(\w+)\"", text)) | set(BY_OTHER_WORDS)
    ends = re.findall(r"wait_for_end\(([^)]*)\)", text)
    assert alert in begins
    assert alert in {*re.findall(r"\w+", " ".join(ends)), *BY_OTHER_WORDS}


@pytest.mark.parametrize("rule", rules(), ids=name)
def test_each_alert_has_a_severity_words_and_a_runbook(rule: str) -> None:
    assert re.search(r"severity: (critical|warning)$", rule, re.MULTILINE)
    for annotation in ("summary", "description"):
        assert re.search(rf'^ +{annotation}: ".{{20,}}"$', rule, re.MULTILINE), annotation
    alert = name(rule).removeprefix("Lvsguard")
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()
    assert f"runbook_url: docs/runbooks/{kebab}.md\n" in rule
    assert (CHECKOUT / "docs/runbooks" / f"{kebab}.md").exists()


def test_every_metric_that_they_name_exists() -> None:
    text = re.sub(r"\w+:lvsguard_\w+:\w+", "", RULES.read_text())
    named = set(re.findall(r"\blvsguard_[a-z_]+[a-z]\b", text))
    known = {metric.name for metric in CATALOG}
    assert {re.sub(r"_(bucket|sum|count)$", "", one) for one in named} - known == set()


def test_a_recording_is_used_only_as_it_is_recorded() -> None:
    expressions = re.sub(r"record: \S+", "", RULES.read_text())
    used = set(re.findall(r"\b\w+:lvsguard_\w+:\w+", expressions))
    assert used
    assert used <= set(RECORDED)
    assert len(set(RECORDED)) == len(RECORDED)


@pytest.mark.parametrize("recording", RECORDED)
def test_each_recording_is_played(recording: str) -> None:
    assert re.search(rf"^      - expr: (round\()?{recording}\b", PLAYS.read_text(), re.MULTILINE)
