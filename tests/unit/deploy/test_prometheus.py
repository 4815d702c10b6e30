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


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_played_firing_and_silent(alert: str) -> None:
    plays = re.split(r"^      - eval_time: ", PLAYS.read_text(), flags=re.MULTILINE)
    own = [play for play in plays if re.search(rf"^ +alertname: {alert}$", play, re.MULTILINE)]
    assert {"exp_alerts" in play for play in own} == {True, False}


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
