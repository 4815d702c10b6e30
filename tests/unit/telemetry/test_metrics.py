"""The exposition: names, values, text format; and that it is made in slices."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from lvsguard.core.agent import AgentKind
from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    Config,
    HttpSpec,
    RealserverConfig,
    ServiceConfig,
    VipConfig,
    VipPath,
)
from lvsguard.core.event import (
    Event,
    HealthChanged,
    KernelFailed,
    ProberDied,
    Reloaded,
    ReloadRefused,
    Repaired,
    StateTrouble,
    StepRefused,
)
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.hook import HookConfig, Outcome
from lvsguard.core.model import Forwarding, Protocol, RealserverKey, ServiceKey
from lvsguard.core.override import Admin, Override, OverrideKind, Target
from lvsguard.core.snapshot import AgentStatus, View
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.core.vrrp_event import (
    RoleChanged,
    TableFailed,
    TableReceived,
    TableSent,
    VrrpProcessDied,
)
from lvsguard.serving import Slices
from lvsguard.telemetry import catalog, reference
from lvsguard.telemetry.exposition import Form, chosen
from lvsguard.telemetry.metrics import Metrics
from lvsguard.telemetry.processes import Machine, ProberLoad
from tests.support.golden import Golden
from tests.support.loop_turns import turns
from tests.support.published import (
    ELECTED,
    ELECTION,
    IN_STEP,
    NOON,
    OTHER,
    UNFIT,
    VIP,
    WEB,
    Picture,
    realserver,
    service,
)

RS1 = RealserverKey(ip_address("10.0.0.42"), 80)
HEALTH = Check(RS1.address, 80, CheckSpec(CheckKind.HTTP, http=HttpSpec(path="/health?key=s3cret")))
PLAIN = Check(RS1.address, 80, CheckSpec(CheckKind.TCP))


ELECTING = VipConfig("web", (VIP,), VrrpConfig(51))


def config(
    *checks: Check, services: tuple[str, ...] = ("web",), vips: tuple[VipConfig, ...] = ()
) -> Config:
    """Services that share one realserver with these checks."""
    return Config(
        "director1",
        "eth0",
        vips,
        tuple(
            ServiceConfig(
                name,
                ServiceKey.at(Protocol.TCP, VIP.address, 80 + number),
                (RealserverConfig("rs1", RS1, checks=checks),),
            )
            for number, name in enumerate(services)
        ),
        "0123456789ab",
    )


def tally(check: Check = HEALTH, codes: dict[str, int] | None = None) -> Tally:
    """Three probes, one of them slow."""
    buckets = [0] * (len(BUCKETS) + 1)
    buckets[0], buckets[-1] = 2, 1
    failures = {} if codes else {"timeout": 1}
    expires = NOON + 86400 if check is HEALTH else 0.0
    counts = codes or {"L7OK": 2, "L7TOUT": 1}
    return Tally(check, counts, 9.5, tuple(buckets), NOON, failures, expires)


async def exposition(metrics: Metrics, view: View, form: Form = Form.TEXT) -> str:
    """The whole text, without the metrics of this process."""
    text = b"".join([piece async for piece in metrics.render(view, form=form)]).decode()
    assert text.endswith("\n")
    return "".join(
        line for line in text.splitlines(keepends=True) if not re.match(r"(# \w+ )?process_", line)
    )


MACHINE = Machine({"controller": os.getpid(), "vrrp": 0}, {"prober0": ProberLoad(0.002, 3, 0)})
"""Of the processes one runs."""
FULL = Picture(groups=(ELECTED,), in_step=IN_STEP, others=(OTHER,), by_etcd=True)
"""All that is shown in metrics."""


def samples(text: str) -> dict[str, float]:
    """Values by name and sorted labels, as an independent parser reads them."""
    return {
        f"{s.name}{sorted(s.labels.items())}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def eventful() -> Metrics:
    """Metrics after one event of each kind that is counted, and two batches."""
    seed = config(HEALTH, PLAIN, services=("web", "tls"), vips=(ELECTING,))
    seed = replace(seed, hooks=(HookConfig("chat", url="https://chat.example"),))
    metrics = Metrics(seed, machine=lambda: MACHINE)
    events: tuple[Event, ...] = (
        HealthChanged("10.0.0.42:80", "http", Verdict.UP, Verdict.DOWN, "L4CON", "refused", None),
        Repaired("service", "tcp 10.0.0.8:80", "gone", ()),
        StepRefused("ipvsadm -A", "no such scheduler"),
        KernelFailed("no answer"),
        ProberDied(0, "signal 9", 2),
        Reloaded("0123456789ab", 3),
        ReloadRefused(("config.toml:1: x: y",)),
        StateTrouble("disk full"),
        RoleChanged("web", "init", "backup", "started", ""),
        VrrpProcessDied("signal 9"),
        TableSent("web", 50, 0.02, "10.0.0.40", "join"),
        TableReceived("web", 7, 0.2, "10.0.0.40"),
        TableFailed("web", True, "10.0.0.40", "it did not send them in time"),
    )
    for event in events:
        metrics.event(event)
    metrics.tally([tally(), tally(PLAIN, {"L4OK": 3})])
    metrics.tally([tally()])
    metrics.elections(ELECTION)
    metrics.verdicts_to_kernel([0.004])
    metrics.passed(0.02)
    metrics.loop_lag(-0.001)
    metrics.loop_lag(0.2)
    return metrics


async def test_a_realserver_that_is_not_in_the_table_has_no_totals() -> None:
    """They go on when it is back; a 0 meanwhile is a reset to ``rate()``."""
    there = realserver("10.0.0.42", forwarding=Forwarding.NAT)
    picture = Picture([service(there, realserver("10.0.0.43", weight=None))])
    known = samples(await exposition(Metrics(), picture))
    totals = [
        name for name in known if re.match(r"lvsguard_ipvs_(connections|packets|bytes)_", name)
    ]
    assert len(totals) == 5
    assert all("10.0.0.42:80" in name for name in totals)
    assert sum("ipvs_active_connections" in name for name in known) == 2


async def test_a_service_that_was_not_read_has_no_totals() -> None:
    """Before the first read after a start, above all: the kernel's go on from where they were."""
    picture = Picture([replace(service(realserver()), read=False), service(name="mail")])
    known = samples(await exposition(Metrics(), picture))
    totals = [name for name in known if name.startswith("lvsguard_ipvs_service_")]
    assert len(totals) == 5
    assert all("mail" in name for name in totals)


async def test_the_exposition_is_public(golden: Golden) -> None:
    text = await exposition(eventful(), FULL)
    text = re.sub(r'(python=)"[^"]*"', r'\1"3"', text)
    text = re.sub(r"(_last_transfer_timestamp_seconds{.*}) .*", rf"\1 {NOON:.0f}", text)
    text = re.sub(r"(lvsguard_process_\w+{.*}) .*", r"\1 1", text)
    text = re.sub(r"(lvsguard_checks_overdue) .*", r"\1 0", text)
    golden.check("metrics/seed.txt", text)


async def test_promtool_has_nothing_against_it() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package: prometheus)")
    text = await exposition(eventful(), everything())
    families = re.findall(r"^(lvsguard_\w+?)(?:_bucket|_sum|_count)?(?:{.*})? ", text, re.MULTILINE)
    assert set(families) == {metric.name for metric in catalog.CATALOG}
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def everything() -> Picture:
    """A view in which every family has a series."""
    agent = AgentStatus(AgentKind.TEXT, 9100, "ready", 0.5, 0.5, "", "")
    check = replace(realserver().checks[0], vip_path=True)
    drained = Override(Target(RS1.address), OverrideKind.DRAIN, "alice", NOON, expires=NOON + 60)
    asked = service(
        replace(realserver(), agent=agent, checks=(check,), admin=Admin.DRAIN, overrides=(drained,))
    )
    return Picture(
        shown=(asked,), groups=(ELECTED,), in_step=IN_STEP, others=(OTHER,), by_etcd=True
    )


async def test_every_exposed_metric_is_declared_and_the_other_way_round() -> None:
    text = await exposition(eventful(), everything())
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    declared = {metric.name: str(metric.kind) for metric in catalog.CATALOG}
    assert typed == declared
    for family in text_string_to_metric_families(text):
        (metric,) = (m for m in catalog.CATALOG if m.name in (family.name, f"{family.name}_total"))
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample.name


async def test_openmetrics_says_the_same_in_its_own_format() -> None:
    """Read by prometheus_client's strict parser; promtool reads the text format only."""
    text = await exposition(eventful(), FULL)
    other = await exposition(eventful(), FULL, Form.OPENMETRICS)
    assert other.endswith("\n# EOF\n")
    assert other.count("# EOF") == 1
    found = {
        f"{s.name}{sorted(s.labels.items())}": s.value
        for family in openmetrics.text_string_to_metric_families(other)  # type: ignore[no-untyped-call]
        for s in family.samples
    }
    apart = re.compile("lvsguard_(exposition|process)_|last_transfer")  # they are of the moment
    assert {k: v for k, v in found.items() if not apart.search(k)} == {
        k: v for k, v in samples(text).items() if not apart.search(k)
    }


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.TEXT),
        ("*/*", Form.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Form.TEXT),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Form.TEXT),
        # Prometheus 2.42 and 3.5
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
            "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Form.OPENMETRICS,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
            "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            Form.OPENMETRICS,
        ),
        ("application/openmetrics-text", Form.OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.8", Form.TEXT),
        ("application/openmetrics-text;q=0", Form.TEXT),
        ("application/openmetrics-text;version=x", Form.TEXT),
        ("application/openmetrics-text;q=x,;;=,=;q", Form.TEXT),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str, form: Form) -> None:
    assert chosen(accept) is form


async def test_every_family_stands_together() -> None:
    text = await exposition(eventful(), Picture())
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(names) == len(set(names))


async def test_there_are_as_many_series_as_the_reference_says() -> None:
    members = tuple(
        RealserverConfig(f"rs{n}", RealserverKey(RS1.address + n, 80), checks=(PLAIN,))
        for n in range(50)
    )
    checks = [replace(PLAIN, address=member.key.address) for member in members]
    services = tuple(
        ServiceConfig(
            f"s{number}",
            ServiceKey.at(Protocol.TCP, VIP.address, 80 + number),
            tuple(
                replace(member, checks=(check,))
                for member, check in zip(members[at : at + 10], checks[at : at + 10], strict=True)
            ),
        )
        for number, at in enumerate(range(0, 50, 10))
    )
    metrics = Metrics(Config("director1", "eth0", (ELECTING,), services, "0123456789ab"))
    failures = {str(failure): 1 for failure in FailureClass if failure != FailureClass.VIP_PATH}
    results = tally(PLAIN, {"L4OK": 2, "L4CON": 1})
    metrics.tally([replace(results, check=check, failures=failures) for check in checks])
    metrics.elections(ELECTION)
    shown = [
        service(*(realserver(str(m.key.address)) for m in one.realservers), name=one.name)
        for one in services
    ]
    text = await exposition(metrics, replace(FULL, shown=shown))
    found = sum(not line.startswith("#") for line in text.splitlines())
    stated = 12 * 50 + 4 * 50 + 5 * (14 + 20) + 45 + 200
    assert "12 R + 4 C R + S (14 + 20 K) + 45 V + 200" in reference.page()
    assert abs(found - stated) < 20


def test_the_reference_page_is_current() -> None:
    """Otherwise: python -m tests.support.reference"""
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "metrics.md"
    assert page.read_text() == reference.page()


async def test_events_are_counted() -> None:
    found = samples(await exposition(eventful(), Picture()))
    assert found["lvsguard_drift_repairs_total[('kind', 'service')]"] == 1
    assert found["lvsguard_drift_repairs_total[('kind', 'address')]"] == 0
    assert found["lvsguard_kernel_errors_total[('kind', 'step')]"] == 1
    assert found["lvsguard_kernel_errors_total[('kind', 'access')]"] == 1
    assert found["lvsguard_prober_restarts_total[]"] == 1
    assert found["lvsguard_config_reloads_total[('outcome', 'refused')]"] == 1
    assert found["lvsguard_verdict_changes_total[('verdict', 'down')]"] == 1
    assert found["lvsguard_state_writable[]"] == 0
    assert found["lvsguard_loop_lag_seconds_count[]"] == 2


async def test_realservers_tell_verdict_weight_and_admin_state() -> None:
    view = Picture(
        [
            service(
                realserver("10.0.0.42", admin=Admin.DRAIN, weight=0),
                realserver("10.0.0.43", admin=Admin.DISABLED, weight=None),
                realserver("10.0.0.44", verdict=Verdict.UNKNOWN),
                realserver("10.0.0.45", forwarding=Forwarding.NAT),
            )
        ]
    )
    found = samples(await exposition(Metrics(), view))

    def of(name: str, last: int) -> float:
        return found[f"lvsguard_{name}[('realserver', '10.0.0.{last}:80'), ('service', 'web')]"]

    assert [of("realserver_up", n) for n in (42, 43, 44, 45)] == [1, 1, 0, 1]
    assert [of("realserver_admin_state", n) for n in (42, 43, 44, 45)] == [1, 2, 0, 0]
    assert [of("realserver_weight", n) for n in (42, 43, 44, 45)] == [0, 0, 1, 1]
    assert [of("realserver_in_table", n) for n in (42, 43, 44, 45)] == [1, 0, 1, 1]
    out = [name for name in found if "ipvs_bytes_total" in name and "'out'" in name]
    assert len(out) == 1
    assert "10.0.0.45:80" in out[0]


async def test_a_drain_tells_since_when_and_until_when_where_it_ends() -> None:
    def drained(*ends: float | None) -> Picture:
        overrides = tuple(
            Override(Target(RS1.address), kind, "alice", NOON - number, expires=end)
            for number, (kind, end) in enumerate(
                zip((OverrideKind.DISABLE, OverrideKind.DRAIN), ends, strict=False)
            )
        )
        return Picture([service(replace(realserver(), admin=Admin.DRAIN, overrides=overrides))])

    since, until = (
        f"lvsguard_realserver_admin_{name}_timestamp_seconds" for name in ("since", "until")
    )
    labels = "[('realserver', '10.0.0.42:80'), ('service', 'web')]"
    found = samples(await exposition(Metrics(), drained(NOON + 5, NOON + 9)))
    assert (found[since + labels], found[until + labels]) == (NOON - 1, NOON + 9)
    found = samples(await exposition(Metrics(), drained(NOON + 5, None)))
    assert (found[since + labels], found.get(until + labels)) == (NOON - 1, None)
    text = await exposition(Metrics(), Picture([service(realserver())]))
    assert "_admin_since" not in text


async def test_what_becomes_of_a_hooks_events_is_counted_from_0_while_it_is_configured() -> None:
    chat = replace(config(), hooks=(HookConfig("chat", url="https://chat.example"),))
    metrics = Metrics(chat)

    async def counted() -> dict[str, float]:
        found = samples(await exposition(metrics, Picture()))
        name = "lvsguard_hook_events_total[('hook', 'chat'), ('outcome', '{}')]"
        return {str(o): found[name.format(o)] for o in Outcome if name.format(o) in found}

    assert await counted() == {"done": 0, "retried": 0, "failed": 0, "dropped": 0}
    metrics.hook("chat", Outcome.FAILED)
    metrics.configure(chat)
    assert await counted() == {"done": 0, "retried": 0, "failed": 1, "dropped": 0}
    metrics.configure(config())
    metrics.hook("chat", Outcome.FAILED)
    assert await counted() == {}


async def test_a_reload_is_another_generation() -> None:
    metrics = Metrics(config(HEALTH))
    metrics.configure(config(PLAIN))
    found = samples(await exposition(metrics, Picture()))
    assert found["lvsguard_config_generation[]"] == 2


async def test_processes_that_run_tell_what_they_take() -> None:
    found = samples(await exposition(eventful(), Picture()))
    assert found["lvsguard_process_cpu_seconds_total[('process', 'controller')]"] > 0
    assert found["lvsguard_process_resident_memory_bytes[('process', 'controller')]"] > 1e7
    assert "lvsguard_process_cpu_seconds_total[('process', 'vrrp')]" not in found
    assert found["lvsguard_prober_lateness_seconds[('process', 'prober0')]"] == 0.002


async def test_realservers_of_a_service_are_counted_by_verdict() -> None:
    view = Picture(
        [service(realserver("10.0.0.42"), realserver("10.0.0.43", verdict=Verdict.DOWN))]
    )
    found = samples(await exposition(Metrics(), view))
    assert [
        found[f"lvsguard_service_realservers{[('service', 'web'), ('verdict', verdict)]}"]
        for verdict in ("up", "down", "unknown")
    ] == [1, 1, 0]


async def test_overrides_and_vips_are_told() -> None:
    view = Picture()
    view.groups = (replace(view.groups[0], held=frozenset()),)
    view.kept[Target(RS1.address), OverrideKind.DRAIN] = Override(
        Target(RS1.address), OverrideKind.DRAIN, "alice", NOON
    )
    found = samples(await exposition(Metrics(), view))
    assert found["lvsguard_vip_held[('address', '10.0.0.8'), ('vip', 'web')]"] == 0
    assert found["lvsguard_overrides[('kind', 'drain')]"] == 1


async def test_labels_of_any_text_are_read_back_as_they_were() -> None:
    odd = 'we"b\\\n{x="1"} ü'
    found = samples(await exposition(Metrics(), Picture([service(name=odd)])))
    assert found[f"lvsguard_service_quorum{[('service', odd)]}"] == 1
    surrogate = Picture([service(name="a\udcffb")])
    assert 'service="a?b"' in await exposition(Metrics(), surrogate)


class TestTallies:
    async def test_results_and_durations_add_up(self) -> None:
        found = samples(await exposition(eventful(), Picture()))
        labels = "('check', 'http /health'), ('code', '{}'), ('realserver', '10.0.0.42:80')"
        for code, count in (("L7OK", 4), ("L7TOUT", 2)):
            assert found[f"lvsguard_probe_results_total[{labels.format(code)}]"] == count
        for name in ("web", "tls"):
            series = f"[('kind', 'http'), ('service', '{name}')]"
            assert found[f"lvsguard_probe_duration_seconds_count{series}"] == 6
            assert found[f"lvsguard_probe_duration_seconds_sum{series}"] == 19.0
        first = "[('kind', 'http'), ('le', '0.001'), ('service', 'web')]"
        assert found[f"lvsguard_probe_duration_seconds_bucket{first}"] == 4
        spent = "[('check', 'http /health'), ('realserver', '10.0.0.42:80')]"
        assert found[f"lvsguard_probe_seconds_total{spent}"] == 19.0
        last = "[('check', 'tcp'), ('realserver', '10.0.0.42:80')]"
        assert found[f"lvsguard_last_check_timestamp_seconds{last}"] == NOON

    async def test_failures_are_told_by_class_and_certificates_by_their_end(self) -> None:
        found = samples(await exposition(eventful(), Picture()))
        for name in ("web", "tls"):
            labels = f"[('failure', 'timeout'), ('kind', 'http'), ('service', '{name}')]"
            assert found[f"lvsguard_probe_failures_total{labels}"] == 2
        labels = "[('check', 'http /health'), ('realserver', '10.0.0.42:80')]"
        expiry = "lvsguard_certificate_expiry_timestamp_seconds"
        assert {k: v for k, v in found.items() if expiry in k} == {
            f"{expiry}{labels}": NOON + 86400
        }

    async def test_every_class_that_a_kind_can_have_is_there_from_the_start_at_0(self) -> None:
        """Else ``increase()`` does not see the first burst."""
        path = VipPath(VIP.address, 80)
        on_vip = replace(HEALTH, spec=replace(HEALTH.spec, path=path))
        metrics = Metrics(config(on_vip, PLAIN, services=("web", "tls")))
        name = "lvsguard_probe_failures_total"
        found = samples(await exposition(metrics, Picture()))
        rest = set(FailureClass) - {FailureClass.VIP_PATH}
        assert {key: value for key, value in found.items() if key.startswith(name)} == {
            f"{name}[('failure', '{failure}'), ('kind', '{kind}'), ('service', '{service}')]": 0
            for service in ("web", "tls")
            for kind, failures in ((CheckKind.HTTP, FailureClass), (CheckKind.TCP, rest))
            for failure in failures
        }
        metrics.tally([tally(on_vip)])
        metrics.configure(config(on_vip))
        found = samples(await exposition(metrics, Picture()))
        labels = "[('failure', 'timeout'), ('kind', 'http'), ('service', 'web')]"
        assert found[name + labels] == 1, "a reload keeps the counts"
        assert not [key for key in found if key.startswith(name) and "'tcp'" in key]

    async def test_a_check_that_says_nothing_is_overdue(self) -> None:
        now = NOON
        metrics = Metrics(config(HEALTH, PLAIN), clock=lambda: now)

        async def overdue() -> float:
            return samples(await exposition(metrics, Picture()))["lvsguard_checks_overdue[]"]

        assert samples(await exposition(metrics, Picture()))["lvsguard_checks[]"] == 2
        now = NOON + 11  # 3 times an interval and a timeout of 1 s each, and 5 s
        assert await overdue() == 0
        now = NOON + 11.1
        assert await overdue() == 2
        metrics.tally([replace(tally(), last=NOON + 11)])
        assert await overdue() == 1
        metrics.configure(config(HEALTH, PLAIN))  # what was never heard has its time again
        assert await overdue() == 0
        now = NOON + 22.2
        assert await overdue() == 2

    async def test_secrets_in_a_query_are_not_told(self) -> None:
        assert "s3cret" not in await exposition(eventful(), Picture())

    async def test_what_left_the_configuration_is_forgotten(self) -> None:
        metrics = eventful()
        metrics.configure(config(PLAIN))
        metrics.tally([tally()])
        text = await exposition(metrics, Picture())
        assert 'kind="http"' not in text
        assert 'service="tls"' not in text
        assert 'check="tcp",code="L4OK"' in text

    async def test_codes_of_one_check_are_bounded(self) -> None:
        metrics = Metrics(config(HEALTH))
        metrics.tally([tally(codes={f"X{n}": 1 for n in range(100)})])
        text = await exposition(metrics, Picture())
        assert text.count("lvsguard_probe_results_total{") == 33
        assert 'code="other"} 68' in text


@pytest.fixture(scope="module")
def large() -> Picture:
    return Picture(
        [
            service(
                *(realserver(f"10.{i >> 8}.{i & 255}.{j}") for j in range(1, 11)),
                name=f"service{i}",
                key=replace(WEB, port=i + 1),
            )
            for i in range(1000)
        ]
    )


def made(metrics: Metrics) -> int:
    """Realservers whose labels are kept."""
    return sum(len(known) for known in metrics._labels._services.values())


class TestSlices:
    """10,000 realservers."""

    async def test_the_loop_has_a_turn_between_short_slices(self, large: Picture) -> None:
        metrics = Metrics()
        gc.collect()
        gc.freeze()  # as the daemon does: a collection of all that pytest holds is no slice's fault
        slices = Slices(clock=time.thread_time)
        size = 0
        async with turns() as felt:
            async for piece in metrics.render(large, slices):
                size += len(piece)
        gc.unfreeze()
        assert size > 5_000_000
        assert felt.count >= 5
        assert slices.count >= 10
        # Its own count and somebody else's. The load of the machine is in neither.
        assert slices.longest < 0.02
        assert felt.longest_s < 0.02

    async def test_labels_are_made_once(self, large: Picture) -> None:
        metrics = Metrics()
        first = await exposition(metrics, large)
        second = await exposition(metrics, large)
        own = re.compile(r"^lvsguard_exposition.*$", re.MULTILINE)
        assert own.sub("", first) == own.sub("", second)
        assert made(metrics) == 10_000
        smaller = config(HEALTH, services=("service0", "service1"))
        metrics.configure(smaller)
        assert made(metrics) == 20
        left = replace(large.shown[0], realservers=large.shown[0].realservers[:3])
        await exposition(metrics, Picture([left]))
        assert made(metrics) == 13

    async def test_a_realserver_that_is_named_otherwise_has_other_labels(self) -> None:
        metrics = Metrics()
        await exposition(metrics, Picture([service(realserver(name="a"))]))
        assert 'name="b"' in await exposition(metrics, Picture([service(realserver(name="b"))]))


async def test_the_rules_of_a_service_are_told() -> None:
    ruled = replace(service(), panic=True, sorry=True, rising=3)
    found = samples(await exposition(eventful(), Picture([ruled])))
    labelled = [("service", "web")]
    assert [
        found[f"lvsguard_service_{name}{labelled}"]
        for name in ("panic", "sorry_server", "slow_starting")
    ] == [1, 1, 3]


@pytest.mark.parametrize(("each", "shown"), [((True, True), 1), ((True, False), 0)])
async def test_a_vip_that_one_check_misses_is_shown(each: tuple[bool, ...], shown: int) -> None:
    plain = realserver().checks[0]
    checks = (plain, *(replace(plain, vip_path=answers) for answers in each))
    text = await exposition(
        eventful(), Picture(shown=(service(replace(realserver(), checks=checks)),))
    )
    assert re.search(rf"^lvsguard_realserver_vip_path\{{.*}} {shown}$", text, re.MULTILINE)


async def test_a_vip_that_nobody_asks_is_not_shown() -> None:
    assert "lvsguard_realserver_vip_path{" not in await exposition(eventful(), Picture())


async def test_a_config_is_the_same_where_only_what_is_about_the_host_differs() -> None:
    listens = replace(OTHER, same_config=False, config_differs=("telemetry.listen",))
    serves = replace(UNFIT, name="director3")
    found = samples(await exposition(Metrics(), Picture(others=(listens, serves))))
    same = "lvsguard_peer_same[('peer', '{}'), ('what', 'config')]"
    assert found[same.format("director2")] == 1
    assert found[same.format("director3")] == 0


async def test_of_a_director_that_is_not_heard_nothing_is_told_but_that() -> None:
    gone = replace(
        OTHER, heard=False, last=0.0, same_config=None, same_overrides=None, problem="down"
    )
    found = samples(await exposition(Metrics(), Picture(others=(gone,))))
    assert found["lvsguard_peer_heard[('peer', 'director2')]"] == 0
    assert not [name for name in found if name.startswith("lvsguard_peer_same")]
