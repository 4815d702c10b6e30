"""Both units under a real systemd, hardened as shipped, in a guest that nothing leaves.

One boot of systemd (as process 1 of a new PID namespace) runs a script of steps; the tests read
what each step showed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lvsguard.core.event_kinds import message_id
from tests.support.kernel import missing_for_kernel_tests

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
SYSTEMD = Path("/usr/lib/systemd/systemd")
LIMIT_S = 180
MARK = "=== "

CONFIG = """
[director]
name = "director1"
interface = "eth0"
[[vip]]
name = "web"
addresses = ["10.0.0.8/24"]
[[vip]]
name = "elected"
addresses = ["10.0.0.9/24"]
[vip.vrrp]
vrid = 51
interval = "100ms"
[[service]]
name = "web"
address = "10.0.0.8:80"
protocol = "tcp"
scheduler = "rr"
forwarding = "dr"
check = { kind = "http", path = "/", interval = "1s", rise = 1 }
[[service.realserver]]
address = "10.0.0.42"
"""
TARGET = """
[Unit]
Wants=steps.service
"""
STEPS_UNIT = """
[Service]
Type=oneshot
ExecStart=/bin/bash -x /opt/lvsguard-test/steps
StandardOutput=file:/opt/lvsguard-test/output
StandardError=file:/opt/lvsguard-test/noise
ExecStopPost=/bin/systemctl --force exit
"""
STEPS = """
step() { echo "=== $1"; }
arp() { grep -H . /proc/sys/net/ipv4/conf/all/arp_ignore /proc/sys/net/ipv4/conf/all/arp_announce; }
ip addr add 10.0.0.42/24 dev eth1
step realserver-up
systemctl start lvsguard-realserver; systemctl show -P ActiveState lvsguard-realserver
ip -br addr show ipvs0; arp; ls -l /run/lvsguard-realserver
step realserver-reload
systemctl reload lvsguard-realserver; echo "status $?"
step realserver-down
systemctl stop lvsguard-realserver; ip -br link show ipvs0 2>&1; arp
step realserver-arptables
# As modules-load.d says for arptables-legacy.
modprobe -aq arptable_filter arpt_mangle
mkdir -p /etc/default
echo 'LVSGUARD_REALSERVER="--vip 10.0.0.8 --rip 10.0.0.42 --arp arptables"' \
  >/etc/default/lvsguard-realserver
systemctl start lvsguard-realserver; systemctl show -P ActiveState lvsguard-realserver
arptables -L -n
step realserver-arptables-down
systemctl stop lvsguard-realserver; arptables -L -n
/usr/bin/python3 -m http.server 80 --bind 10.0.0.42 >/dev/null 2>&1 &
step director-start
systemctl start lvsguard; echo "status $?"; systemctl show -P ActiveState lvsguard
# The prober, a child under the same restrictions, has found the realserver up.
for i in $(seq 100); do ipvsadm -Sn | grep -q -e '-w 1' && break; sleep 0.2; done
systemctl show -P StatusText lvsguard
ipvsadm -Sn; ip -br addr show eth0
step director-privileges
PID=$(systemctl show -P MainPID lvsguard)
grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/$PID/status
ls -l /run/lvsguard
step vrrp-privileges
for i in $(seq 100); do ip -br addr show eth0 | grep -q 10.0.0.9/24 && break; sleep 0.2; done
ip -br addr show eth0
VRRP=$(pgrep -f lvsguard.vrrp.process)
chrt -p $VRRP; grep -E '^(Uid|CapEff|VmLck):' /proc/$VRRP/status
step director-status
/usr/bin/lvsguard status
step director-reload
echo '[director]' >/etc/lvsguard/config.toml; systemctl reload lvsguard; echo "bad: $?"
cp /opt/lvsguard-test/config.toml /etc/lvsguard/config.toml
systemctl reload lvsguard; echo "good: $?"
systemctl show -P ActiveState lvsguard
step director-killed
ip monitor address >/opt/lvsguard-test/addresses & MONITOR=$!
sleep 0.5; kill -9 $PID; for i in $(seq 100); do
  NOW=$(systemctl show -P MainPID lvsguard)
  [ "$NOW" != 0 ] && [ "$NOW" != "$PID" ] && systemctl -q is-active lvsguard && break
  sleep 0.2
done
systemctl show -P ActiveState lvsguard; ipvsadm -Sn
step vrrp-taken-up
ELECTED='elected .*master'
for i in $(seq 100); do /usr/bin/lvsguard status | grep -q "$ELECTED" && break; sleep 0.2; done
/usr/bin/lvsguard status | grep elected
echo "before: $VRRP; after: $(pgrep -f lvsguard.vrrp.process)"
echo "probers: $(pgrep -fc lvsguard.probes.process)"
curl -s 127.0.0.1:9852/metrics | grep -E '^lvsguard_vrrp_(process|real|state)'
kill $MONITOR; echo "deleted: $(grep -c 'Deleted.*10.0.0.9' /opt/lvsguard-test/addresses)"
step director-stop
systemctl stop lvsguard; echo "status $?"; ipvsadm -Sn
step vrrp-stopped
echo "processes: $(pgrep -fc 'lvsguard[.]|m lvsguard')"; ip -br addr show eth0
systemctl show -P Result lvsguard
step vrrp-left-behind
systemctl start lvsguard
for i in $(seq 100); do ip -br addr show eth0 | grep -q 10.0.0.9/24 && break; sleep 0.2; done
echo '[director]' >/etc/lvsguard/config.toml
kill -9 $(systemctl show -P MainPID lvsguard)
for i in $(seq 100); do systemctl -q is-failed lvsguard && break; sleep 0.2; done
systemctl show -P ActiveState lvsguard; ip -br addr show eth0
echo "left: $(pgrep -fc lvsguard.vrrp.process)"
systemctl kill lvsguard; echo "status $?"
for i in $(seq 100); do pgrep -f lvsguard.vrrp.process >/dev/null || break; sleep 0.1; done
echo "killed: $(pgrep -fc lvsguard.vrrp.process)"
cp /opt/lvsguard-test/config.toml /etc/lvsguard/config.toml
step journal-asked
timeout 20 journalctl --sync
echo "kind:"; journalctl --no-pager -q -o cat LVSGUARD_KIND=started
echo "id:"; journalctl --no-pager -q -o cat MESSAGE_ID=@STARTED@
echo "realserver:"
journalctl --no-pager -q -o cat LVSGUARD_KIND=health LVSGUARD_REALSERVER=10.0.0.42:80
step journal
journalctl --no-pager -u lvsguard -u lvsguard-realserver
"""
START = """
ip link set lo up
ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up
ip addr add 10.0.0.41/24 dev eth0
mount -t tmpfs tmpfs /run; mkdir -p /run/lock
mount -t cgroup2 none /sys/fs/cgroup
export container=lvsguard-test
exec /usr/lib/systemd/systemd --system --unit=lvsguard-test.target --log-target=null
"""


def problem() -> str:
    """Why this cannot run here, or an empty text."""
    if missing := missing_for_kernel_tests():
        return missing
    if "User Mode Linux" not in Path("/proc/cpuinfo").read_text():
        return "boots systemd, so only in a guest: tests/lab/run --kernel uml pytest ..."
    for path in (SYSTEMD, python()):
        if not path.exists():
            return f"{path} is missing (apt install systemd python3)"
    return ""


def python() -> Path:
    """An interpreter that neither ProtectHome nor PrivateTmp hides."""
    system = Path(f"/usr/bin/python3.{sys.version_info.minor}")
    return system if system.exists() else Path(sys.executable)


pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(bool(problem()), reason=problem()),
    pytest.mark.timeout(LIMIT_S + 60),
]


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What each step printed."""
    try:
        install()
        return boot()
    finally:
        for path in ("/usr/bin/lvsguard", "/etc/lvsguard/config.toml"):
            Path(path).unlink(missing_ok=True)


def boot() -> dict[str, str]:
    """Run the steps under systemd; what each printed, by its name."""
    start = Path("/opt/lvsguard-test/start")
    argv = ("unshare", "-n", "-p", "-m", "-C", "-f", "--mount-proc", "bash", str(start))
    output = Path("/opt/lvsguard-test/output")
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        text = output.read_text() if output.exists() else done.stdout + done.stderr
    finally:
        if folder := os.environ.get("LVSGUARD_ARTIFACTS"):
            for name in ("output", "noise"):
                if (shown := Path("/opt/lvsguard-test", name)).exists():
                    shutil.copy(shown, Path(folder, f"units.{name}.txt"))
    parts = [part.partition("\n") for part in text.split(MARK)]
    return {name: body for name, _, body in parts}


def install() -> None:
    """What a package would do, and the scripts of this test."""
    units = Path("/etc/systemd/system")
    for unit in DEPLOY.glob("systemd/*.service"):
        shutil.copy(unit, units)
    for name in ("sysusers.d", "tmpfiles.d"):
        shutil.copy(DEPLOY / name / "lvsguard.conf", Path("/usr/lib") / name)
    subprocess.run(("systemd-sysusers",), check=True, capture_output=True)
    # Debian's tmpfiles.d empties /tmp at boot, and the checkout may be there.
    Path("/etc/tmpfiles.d").mkdir(exist_ok=True)
    Path("/etc/tmpfiles.d/tmp.conf").unlink(missing_ok=True)
    Path("/etc/tmpfiles.d/tmp.conf").symlink_to("/dev/null")
    sources = [str(CHECKOUT), *(path for path in sys.path if path.endswith("site-packages"))]
    packages = ":".join(str(visible(Path(source), n)) for n, source in enumerate(sources))
    program = Path("/usr/bin/lvsguard")
    program.write_text(
        f'#!/bin/sh\nexport PYTHONPATH={packages}\nexec {python()} -m lvsguard "$@"\n'
    )
    program.chmod(0o755)
    folder = Path("/opt/lvsguard-test")
    folder.mkdir(parents=True, exist_ok=True)
    steps = STEPS.replace("@STARTED@", message_id("started"))
    for name, text in (("steps", steps), ("start", START), ("config.toml", CONFIG)):
        (folder / name).write_text(text)
    Path("/etc/lvsguard").mkdir(exist_ok=True)
    shutil.copy(folder / "config.toml", "/etc/lvsguard/config.toml")
    (units / "lvsguard-test.target").write_text(TARGET)
    (units / "steps.service").write_text(STEPS_UNIT)


def visible(source: Path, number: int) -> Path:
    """The same folder where the units' sandbox does not hide it."""
    place = Path(f"/opt/lvsguard-test/sources/{number}")
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(("mount", "--bind", str(source), str(place)), check=True)
    return place


def test_the_realserver_unit_holds_the_configured_vip_quietly(shown: dict[str, str]) -> None:
    step = shown["realserver-up"]
    assert step.startswith("active\n"), shown.get("journal")
    assert "10.0.0.8/32" in step
    assert "arp_ignore:1" in step
    assert "arp_announce:2" in step
    assert "lvsguard lvsguard" in step, "the record belongs to the unprivileged user"
    assert "status 0" in shown["realserver-reload"]


def test_stopping_it_restores_what_was_there(shown: dict[str, str]) -> None:
    step = shown["realserver-down"]
    assert "does not exist" in step
    assert "arp_ignore:0" in step
    assert "arp_announce:0" in step


def test_the_realserver_unit_may_use_arptables(shown: dict[str, str]) -> None:
    step = shown["realserver-arptables"]
    assert step.startswith("active\n"), shown.get("journal")
    assert "-j DROP -d 10.0.0.8" in step
    assert "10.0.0.8" not in shown["realserver-arptables-down"]


def test_the_director_unit_starts_and_programs_the_kernel(shown: dict[str, str]) -> None:
    step = shown["director-start"]
    assert step.startswith("status 0\nactive\n"), shown.get("journal")
    assert "-A -t 10.0.0.8:80 -s rr" in step
    assert "-a -t 10.0.0.8:80 -r 10.0.0.42:80 -g -w 1" in step, shown.get("journal")
    assert "10.0.0.8/24" in step
    assert "10.0.0.8:80" in shown["director-status"]


def test_the_director_is_unprivileged_with_three_capabilities(shown: dict[str, str]) -> None:
    step = shown["director-privileges"]
    fields = dict(line.split(":", 1) for line in step.splitlines() if line.count(":") == 1)
    assert fields["Uid"].split()[0] != "0"
    assert int(fields["CapEff"], 16) == 1 << 12 | 1 << 13 | 1 << 23  # capability.h
    assert fields["NoNewPrivs"].strip() == "1"
    assert fields["Seccomp"].strip() == "2"
    assert "srw-rw---- 1 lvsguard lvsguard" in step


def test_a_bad_config_makes_the_reload_fail_and_nothing_else(shown: dict[str, str]) -> None:
    step = shown["director-reload"].splitlines()
    assert step == ["bad: 1", "good: 0", "active"], shown.get("journal")


def test_a_killed_director_comes_back_and_the_table_was_never_away(shown: dict[str, str]) -> None:
    step = shown["director-killed"]
    assert step.startswith("active\n"), shown.get("journal")
    assert "-a -t 10.0.0.8:80 -r 10.0.0.42:80" in step


def test_stopping_the_director_leaves_the_table(shown: dict[str, str]) -> None:
    step = shown["director-stop"]
    assert step.startswith("status 0\n")
    assert "-a -t 10.0.0.8:80 -r 10.0.0.42:80" in step


def test_the_vrrp_process_has_real_time_priority_and_locked_memory(shown: dict[str, str]) -> None:
    step = shown["vrrp-privileges"]
    assert "10.0.0.9/24" in step, shown.get("journal")
    assert "SCHED_FIFO" in step
    fields = dict(line.split(":", 1) for line in step.splitlines() if line.count(":") == 1)
    assert fields["Uid"].split()[0] != "0"
    assert int(fields["VmLck"].split()[0]) > 10_000, "kB"


def test_a_killed_controller_leaves_the_vrrp_process_and_the_next_takes_it_up(
    shown: dict[str, str],
) -> None:
    step = shown["vrrp-taken-up"]
    before, after = step.split("before: ")[1].splitlines()[0].split("; after: ")
    assert before == after != ""
    assert "master for" in step, shown.get("journal")
    assert "lvsguard_vrrp_process_alive 1\n" in step
    assert "lvsguard_vrrp_real_time 1\n" in step
    assert 'lvsguard_vrrp_state{vip="elected",state="master"} 1\n' in step
    assert "probers: 1\n" in step, "the dead controller's prober has ended"
    assert "deleted: 0\n" in step, "the VIP was never away"


def test_stopping_the_director_ends_the_vrrp_process_and_its_vips(shown: dict[str, str]) -> None:
    step = shown["vrrp-stopped"]
    assert "processes: 0\n" in step, shown.get("journal")
    assert "10.0.0.9/24" not in step
    assert "10.0.0.8/24" in step, "a VIP without election stays"
    assert step.endswith("success\n")


def test_a_vrrp_process_left_behind_goes_at_systemctl_kill(shown: dict[str, str]) -> None:
    step = shown["vrrp-left-behind"]
    assert step.startswith("failed\n"), shown.get("journal")
    assert "10.0.0.9/24" in step, "its VIP stays: a config with mistakes is no reason to go"
    assert "left: 1\nstatus 0\nkilled: 0\n" in step


def test_the_journal_can_be_asked_for_a_kind_an_id_and_a_realserver(shown: dict[str, str]) -> None:
    step = shown["journal-asked"]
    kind, _, rest = step.partition("kind:\n")[2].partition("id:\n")
    by_id, _, realserver = rest.partition("realserver:\n")
    assert "started " in kind, shown.get("journal")
    assert all(line.startswith("started ") for line in kind.splitlines())
    assert by_id == kind
    assert "realserver 10.0.0.42:80 is up" in realserver
