"""Where log lines go: the journal, a console, or JSON lines. One line an event.

It formats; what is worth a line is decided by the events.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from enum import StrEnum
from pathlib import Path

from lvsguard.admin.entry import fields_of
from lvsguard.core.event import Event
from lvsguard.core.event_kinds import message_id
from lvsguard.daemon import journald
from lvsguard.daemon.labels import labels

LOGGER = logging.getLogger("lvsguard")


class LogFormat(StrEnum):
    """How log lines look. ``auto``: journal under systemd, else console."""

    AUTO = "auto"
    CONSOLE = "console"
    JOURNAL = "journal"
    JSON = "json"


def setup(style: LogFormat, journal: Path = journald.SOCKET) -> None:
    """Send everything to stderr in that style; to the journal's own socket where it is there."""
    if style is LogFormat.AUTO:
        style = LogFormat.JOURNAL if "JOURNAL_STREAM" in os.environ else LogFormat.CONSOLE
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[style]())
    if style is LogFormat.JOURNAL and journald.there(journal):
        handler = journald.JournalHandler(_journal_fields, handler, journal)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(logging.INFO)


def tell(event: Event) -> None:
    """Log an event."""
    LOGGER.log(event.level, "%s", event, extra={"event": event})


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    trace = getattr(getattr(record, "event", None), "trace", "")
    return _one_line(f"{text}  [{trace}]" if trace else text)


def _stamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_stamp(record.created)} {record.levelname.lower():7} {_message(record)}"


class _Journal(logging.Formatter):
    """sd-daemon(3) priority prefix; the journal adds time, unit and pid."""

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_priority(record)}>{_message(record)}"


def _priority(record: logging.LogRecord) -> int:
    """Of syslog(3)."""
    return 3 if record.levelno >= 40 else 4 if record.levelno >= 30 else 6


def _journal_fields(record: logging.LogRecord) -> journald.Fields:
    event = getattr(record, "event", None)
    about = labels(event) if isinstance(event, Event) else {}
    return {
        "MESSAGE": _message(record),
        "PRIORITY": str(_priority(record)),
        "SYSLOG_IDENTIFIER": "lvsguard",
        **about,
    }


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            line |= {"event": event.kind, "message_id": message_id(event.kind)}
            line = {**fields_of(event), **line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


_FORMATTERS: dict[LogFormat, type[logging.Formatter]] = {
    LogFormat.CONSOLE: _Console,
    LogFormat.JOURNAL: _Journal,
    LogFormat.JSON: _Json,
}
