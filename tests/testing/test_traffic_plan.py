from collections import Counter
from itertools import islice

from trimtab.testing.traffic_plan import Arrival, arrivals, thumb

N = 6_000


def schedule(*, seed: int = 1, rate: float = 100.0, n: int = N) -> list[Arrival]:
    return list(islice(arrivals(seed=seed, rate=rate), n))


def test_arrivals_stand_at_a_fixed_rate() -> None:
    given = schedule(rate=50.0, n=200)

    assert [arrival.at_s for arrival in given] == [number / 50.0 for number in range(200)]


def test_a_seed_makes_the_traffic_repeatable() -> None:
    assert schedule(n=500) == schedule(n=500)
    assert schedule(n=500) != schedule(n=500, seed=2)


def test_conversations_have_one_or_two_requests_of_one_user() -> None:
    threads: dict[str, list[Arrival]] = {}
    for arrival in schedule():
        threads.setdefault(arrival.thread_id, []).append(arrival)

    assert len(threads) > 3_000
    assert {len(turns) for turns in threads.values()} == {1, 2}
    assert all(len({turn.unit_id for turn in turns}) == 1 for turns in threads.values())


def test_a_second_request_comes_one_to_four_seconds_after_the_first() -> None:
    first: dict[int, Arrival] = {}
    gaps = []
    for arrival in schedule():
        if arrival.turn == 2:
            gaps.append(arrival.at_s - first[arrival.thread].at_s)
            assert first[arrival.thread].followed
        first.setdefault(arrival.thread, arrival)

    assert len(gaps) > 1_000
    assert min(gaps) >= 1.0
    assert max(gaps) < 4.5


def test_several_hundred_users_ask_and_a_tenth_is_streamed() -> None:
    given = schedule()

    assert 300 <= len({arrival.unit_id for arrival in given}) <= 400
    assert 0.08 < sum(arrival.stream for arrival in given) / N < 0.12


def test_hardly_two_questions_are_alike() -> None:
    questions = Counter(arrival.question for arrival in schedule())

    assert len(questions) > 0.99 * N


def test_thumbs_follow_the_text_of_the_answer() -> None:
    refusal = "I'm sorry, but I can't help with that request."

    assert thumb(refusal, chance=0.5) == "down"
    assert thumb("I am not certain what this is about.", chance=0.5) == "down"
    assert thumb("It ships on Friday.", chance=0.5) == "up"
    assert thumb("word " * 200, chance=0.3) == "down"
    assert thumb("word " * 20, chance=0.3) == "up"
