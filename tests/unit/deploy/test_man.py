"""The man pages: all there, taken by both formatters, and complete by the parser and the schema."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.cli.main import build_parser
from lvsguard.config.document import sections

pytestmark = pytest.mark.slow


DEPLOY = Path(__file__).parents[3] / "deploy"
BUILD = DEPLOY / "man/build.py"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Built pages by their names, such as lvsguard-drain.8."""
    out = tmp_path_factory.mktemp("man")
    build(out)
    return {path.name: path for path in out.glob("man*/*")}


def build(out: Path) -> None:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "86400"}
    subprocess.run((sys.executable, str(BUILD), str(out)), check=True, env=environ, timeout=60)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def plain(path: Path) -> str:
    """A page's source without escapes and requests."""
    text = re.sub(r"\\f[BIR]|\\&", "", path.read_text())
    for escape, character in (
        (r"\-", "-"),
        (r"\(aq", "'"),
        (r"\(dq", '"'),
        (r"\(ga", "`"),
        (r"\(ha", "^"),
        (r"\(ti", "~"),
        (r"\e", "\\"),
    ):
        text = text.replace(escape, character)
    return text


def test_every_command_has_a_page_and_there_are_no_others(pages: dict[str, Path]) -> None:
    wanted = {f"{parser.prog.replace(' ', '-')}.8" for parser in parsers(build_parser())}
    assert set(pages) == {"lvsguard.8", "lvsguard.toml.5", *wanted}


def test_every_option_and_example_of_a_command_is_on_its_page(pages: dict[str, Path]) -> None:
    for parser in parsers(build_parser()):
        text = " ".join(plain(pages[f"{parser.prog.replace(' ', '-')}.8"]).split())
        for one in [*parsers(parser)] or [parser]:
            for action in one._actions:
                assert all(option in text for option in action.option_strings)
            for line in (one.epilog or "").splitlines():
                assert " ".join(line.split()).removesuffix(":") in text or line.endswith(":")


def test_every_key_of_the_configuration_is_on_its_page(pages: dict[str, Path]) -> None:
    text = plain(pages["lvsguard.toml.5"])
    for section in sections():
        _, found, rest = text.partition(f"\n.SH {section.header}\n")
        assert found, section.header
        body = rest.partition("\n.SH ")[0]
        assert re.findall(r"^\.TP\n(.*)$", body, re.MULTILINE) == [k.name for k in section.keys]


def test_the_example_is_the_shipped_one_to_the_letter(pages: dict[str, Path]) -> None:
    example = plain(pages["lvsguard.toml.5"]).partition(".EX\n")[2].partition("\n.EE")[0]
    assert example + "\n" == (DEPLOY.parent / "config.example.toml").read_text()


def test_every_page_that_something_refers_to_exists(pages: dict[str, Path]) -> None:
    referred = set()
    for path in (*pages.values(), *DEPLOY.glob("systemd/*.service")):
        text = plain(path) if path.suffix != ".service" else path.read_text()
        referred |= set(re.findall(r"\b(lvsguard[a-z.-]*)\((\d)\)", text))
    assert {f"{name}.{number}" for name, number in referred} == set(pages)


def test_no_line_is_taken_for_a_request_by_accident(pages: dict[str, Path]) -> None:
    known = {"TH", "SH", "SS", "TP", "PP", "EX", "EE", "br", "nh", "ad"}
    for path in pages.values():
        requests = re.findall(r"^[.'](\S*)", path.read_text(), re.MULTILINE)
        assert set(requests) <= known, path.name


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_has_nothing_to_warn_of(pages: dict[str, Path]) -> None:
    argv = ("mandoc", "-T", "lint", "-W", "warning", *map(str, pages.values()))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_warn_of(pages: dict[str, Path]) -> None:
    for path in pages.values():
        argv = ("groff", "-man", "-ww", "-z", "-Tutf8", str(path))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert (done.stderr, done.returncode) == ("", 0), path.name


def test_the_same_sources_and_date_make_the_same_pages(
    pages: dict[str, Path], tmp_path: Path
) -> None:
    build(tmp_path)
    again = {path.name: path.read_bytes() for path in tmp_path.glob("man*/*")}
    assert again == {name: path.read_bytes() for name, path in pages.items()}
    assert ' 1970-01-02 "lvsguard' in pages["lvsguard.8"].read_text()
