"""Where log lines go: the journal, a console, or JSON lines. One line an event.

It formats; what is worth a line is decided by the events.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from dataclasses import fields
from enum import StrEnum

from lvsguard.core.event import Event

LOGGER = logging.getLogger("lvsguard")


class LogFormat(StrEnum):
    """How log lines look. ``auto``: journal under systemd, else console."""

    AUTO = "auto"
    CONSOLE = "console"
    JOURNAL = "journal"
    JSON = "json"


def setup(style: LogFormat) -> None:
    """Send everything to stderr in that style."""
    if style is LogFormat.AUTO:
        style = LogFormat.JOURNAL if "JOURNAL_STREAM" in os.environ else LogFormat.CONSOLE
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[style]())
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
    return _one_line(text)


def _stamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_stamp(record.created)} {record.levelname.lower():7} {_message(record)}"


class _Journal(logging.Formatter):
    """sd-daemon(3) priority prefix; the journal adds time, unit and pid."""

    def format(self, record: logging.LogRecord) -> str:
        priority = 3 if record.levelno >= 40 else 4 if record.levelno >= 30 else 6
        return f"<{priority}>{_message(record)}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            line["event"] = event.kind
            line |= {f.name: _plain(getattr(event, f.name)) for f in fields(event)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list | frozenset):
        return [_plain(one) for one in value]
    return str(value)


_FORMATTERS: dict[LogFormat, type[logging.Formatter]] = {
    LogFormat.CONSOLE: _Console,
    LogFormat.JOURNAL: _Journal,
    LogFormat.JSON: _Json,
}
