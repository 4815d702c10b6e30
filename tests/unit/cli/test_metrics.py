"""lvsguard metrics: what the daemon tells, printed or put in a file at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lvsguard.cli.main import main

TOLD = b"""\
# HELP lvsguard_programmed 1 when the last pass left the kernel as wanted, else 0.
# TYPE lvsguard_programmed gauge
lvsguard_programmed 1
# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 21.0
# TYPE lvsguard_process_cpu_seconds_total counter
lvsguard_process_cpu_seconds_total{process="controller"} 1.5
"""


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(TOLD)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def place() -> Iterator[str]:
    """Where a daemon serves telemetry."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_of_it_is_printed(place: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["metrics", "--listen", place]) == 0
    assert capfdbinary.readouterr().out == TOLD


def test_the_place_is_the_configurations(
    place: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    config = tmp_path / "config.toml"
    port = place.rpartition(":")[2]
    for listen in (f'"0.0.0.0:{port}"', f'{{ one = "0.0.0.0:{port}", two = false }}'):
        config.write_text(f'[director]\nname = "one"\n[telemetry]\nlisten = {listen}\n')
        assert main(["metrics", "-c", str(config)]) == 0
        assert capfdbinary.readouterr().out == TOLD


def test_a_textfile_has_what_node_exporter_has_not(place: str, tmp_path: Path) -> None:
    file = tmp_path / "lvsguard.prom"
    file.write_text("old")
    assert main(["metrics", "--listen", place, "--textfile", str(file)]) == 0
    lines = TOLD.splitlines(keepends=True)
    assert file.read_bytes() == b"".join(lines[:3] + lines[6:])
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_when_nobody_answers_the_textfile_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lvsguard.prom"
    file.write_text("old")
    assert main(["metrics", "--listen", "127.0.0.1:1", "--textfile", str(file)]) == 3
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
    assert "does lvsguard run here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "status", "said"),
    [
        ("[telemetry]\nlisten = false\n", 1, "is off"),
        ('[telemetry]\nlisten = { director1 = "10.0.0.41:9852" }\n', 2, "give --listen"),
        ("[telemetry\n", 2, "run lvsguard check"),
        ('[telemetry]\nlisten = "here"\n', 2, "give an address and a port"),
        ('[telemetry]\nlisten = "127.0.0.1:99999"\n', 2, "give an address and a port"),
    ],
)
def test_a_place_that_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, status: int, said: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(config)
    assert main(["metrics", "-c", str(file)]) == status
    assert said in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_told(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics", "--listen", place, "--textfile", str(tmp_path / "no/x.prom")]) == 1
    assert "see that its folder is there" in capsys.readouterr().err
