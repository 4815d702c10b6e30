"""How often a host is asked, and what its silence comes to mean."""

from __future__ import annotations

from lvsguard.probes.presence import ABSENT_S, IN_DOUBT, STRANGER_S, Answer, Presence, Silence

MAC, OTHER = b"\x02\0\0\0\0\x42", b"\x02\0\0\0\0\x66"


def known(interval: float = 0.2, tries: int = 3) -> Presence:
    presence = Presence(interval, tries)
    presence.turn(0.0)
    assert presence.answered(MAC) is Answer.FIRST
    return presence


def silence(presence: Presence, until: float, began: float = 0.0) -> list[tuple[float, Silence]]:
    """Turns without an answer; what they meant and when."""
    now = began
    words: list[tuple[float, Silence]] = []
    while now <= until:
        word = presence.turn(now)
        if word is not Silence.NONE:
            words.append((round(now, 3), word))
        now += presence.pause
    return words


def test_silence_is_doubted_before_it_is_death() -> None:
    assert silence(known(), 5.0) == [(0.4, Silence.DOUBT), (0.6, Silence.DEAD)]


def test_how_long_follows_from_interval_and_tries() -> None:
    assert silence(known(0.1, 5), 5.0) == [(0.4, Silence.DOUBT), (0.5, Silence.DEAD)]


def test_another_pace_holds_from_now_on_and_what_is_known_stays() -> None:
    presence = known(0.5, 4)
    presence.turn(0.0)
    presence.pace(0.1, 5)
    assert (presence.mac, presence.pause) == (MAC, 0.1)
    assert silence(presence, 5.0, 0.1) == [(0.4, Silence.DOUBT), (0.5, Silence.DEAD)]


def test_who_answers_is_asked_once_an_interval_of_itself_alone() -> None:
    presence = known()
    for number in range(10):
        presence.turn(number * 0.2)
        assert (presence.pause, presence.to_all) == (0.2, False)
        presence.answered(MAC)


def test_who_is_in_doubt_is_asked_more_often_and_now_and_then_of_all() -> None:
    presence = known()
    presence.turn(0.0)
    now, asked_of_all, questions = 0.2, 0, 0
    while presence.turn(now) is not Silence.DEAD:
        assert presence.pause == 0.2 / IN_DOUBT
        asked_of_all += presence.to_all
        questions += 1
        now += presence.pause
    assert questions >= 8
    assert 1 <= asked_of_all <= questions // 2


def test_one_answer_of_many_ends_the_doubt() -> None:
    presence = known()
    assert silence(presence, 0.5) == [(0.4, Silence.DOUBT)]
    assert presence.answered(MAC) is Answer.SAME
    assert silence(presence, 1.4, began=0.7) == [(1.1, Silence.DOUBT), (1.3, Silence.DEAD)]


def test_who_has_never_answered_is_not_missed_and_asked_ever_less() -> None:
    presence = Presence(0.2, 3)
    words = silence(presence, 60.0)
    assert [word for _, word in words] == [Silence.STRANGER]
    assert (presence.pause, presence.to_all, presence.silent) == (STRANGER_S, True, False)


def test_who_is_silent_is_asked_of_all_and_said_to_be_so_once() -> None:
    presence = known()
    assert len(silence(presence, 30.0)) == 2
    assert (presence.pause, presence.to_all, presence.silent) == (ABSENT_S, True, True)
    presence.answered(MAC)
    assert (presence.pause, presence.to_all, presence.silent) == (0.2, False, False)


def test_an_answer_from_another_mac_address_is_told_apart() -> None:
    presence = known()
    assert presence.answered(OTHER) is Answer.MOVED
    assert presence.mac == OTHER
    assert presence.answered(OTHER) is Answer.SAME
    assert presence.answered(b"") is Answer.SAME  # one that does not say from where
    assert presence.mac == OTHER


def test_what_could_not_be_asked_is_no_silence() -> None:
    presence = known()
    for number in range(20):
        assert presence.turn(number * 0.2) is Silence.NONE
        presence.unasked()


def test_time_in_which_the_director_did_not_run_is_no_silence() -> None:
    presence = known()
    presence.turn(0.0)
    assert presence.turn(10.0, late=9.8) is Silence.NONE
    assert presence.turn(10.05) is Silence.NONE


def test_a_long_pause_alone_is_no_death_without_as_many_questions() -> None:
    presence = known()
    presence.turn(0.0)
    assert presence.turn(10.0) is not Silence.DEAD
