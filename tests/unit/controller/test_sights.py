"""How healthy each service is, as told to other directors: kept as verdicts change."""

from __future__ import annotations

from dataclasses import replace

from lvsguard.controller.factbook import FactBook
from lvsguard.core.health import Health, Verdict
from lvsguard.core.model import RealserverKey
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.peer import ServiceHealth
from tests.support.rig import RS1, RS2, WEB, WRONG, config, service

RS2_NAME = next(r.name for r in service().realservers if r.key == RS2)
MAIL = replace(WEB, port=25)


def verdict(book: FactBook, key: RealserverKey, what: Verdict) -> None:
    for check in book.checks:
        if check.address == key.address:
            book.record(check, Health(what, 1.0, result=WRONG))


def test_it_follows_the_verdicts() -> None:
    book = FactBook(config())
    book.decide(0.0)
    assert book.sights == {"web": ServiceHealth(0, 2, 2, 0)}
    verdict(book, RS1, Verdict.UP)
    verdict(book, RS2, Verdict.DOWN)
    book.decide(1.0)
    assert book.sights == {"web": ServiceHealth(1, 0, 2, 1, (RS2_NAME,))}


def test_a_drained_realserver_is_as_healthy_as_it_was() -> None:
    book = FactBook(config())
    for key in (RS1, RS2):
        verdict(book, key, Verdict.UP)
    book.put(Override(Target(RS1.address), OverrideKind.DRAIN, "alice", 0.0))
    book.decide(0.0)
    assert book.sights == {"web": ServiceHealth(2, 0, 2, 1)}


def test_who_holds_an_earlier_picture_is_not_surprised() -> None:
    book = FactBook(config())
    book.decide(0.0)
    before = book.sights
    book.decide(1.0)
    assert book.sights is before
    verdict(book, RS1, Verdict.UP)
    book.decide(2.0)
    assert before == {"web": ServiceHealth(0, 2, 2, 0)}
    assert book.sights != before


def test_a_service_that_a_reload_drops_is_forgotten() -> None:
    mail = service(name="mail", key=MAIL)
    book = FactBook(config(service(), mail))
    book.decide(0.0)
    assert set(book.sights) == {"web", "mail"}
    book.configure(config(), 1.0)
    assert set(book.sights) == {"web"}
