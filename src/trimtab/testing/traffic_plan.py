"""Who asks what and when: the demo's arrivals, a pure function of seed and rate.

The schedule is open-loop: arrival k stands at k / rate seconds whatever the answers do, so no
variant's speed can change how much traffic it gets.
"""

import hashlib
import heapq
from collections.abc import Iterator

import msgspec

N_USERS = 400
FOLLOW_UP_SHARE = 0.5  # of the conversations: one request or two
FOLLOW_UP_AFTER_S = (1.0, 4.0)
STREAMED_SHARE = 0.1
FEEDBACK_SHARE = 0.3  # of the users
LONG_ANSWER_WORDS = 130

_TIERS = ("free", "free", "free", "pro", "pro", "vip")
_REGIONS = ("eu", "us", "apac")
_OPENINGS = (
    "Where is the parcel with order {order}?",
    "I want my money back for order {order}.",
    "The invoice of order {order} shows the wrong address.",
    "I cannot log in since I placed order {order}.",
    "Order {order} came with a broken lid, what now?",
    "Can I still change the delivery date of order {order}?",
    "How do I return two of the three items of order {order}?",
    "You charged me twice for order {order}.",
    "I never got a receipt for order {order}.",
    "Please cancel order {order}, I bought the wrong size.",
)
_FOLLOW_UPS = (
    "And how long will that take for order {order}?",
    "I did that already, order {order} still looks the same.",
    "Thanks. Can you also change the email of order {order}?",
    "What do I have to pay for that with order {order}?",
    "Is there a colleague who can look at order {order} by hand?",
)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the schedule, `at_s` seconds after its start.

    `followed` says that the same thread asks once more later.
    """

    number: int
    at_s: float
    thread: int
    turn: int
    followed: bool
    thread_id: str
    unit_id: str
    tier: str
    region: str
    question: str
    stream: bool


def arrivals(*, seed: int, rate: float) -> Iterator[Arrival]:
    """The endless schedule: `rate` requests a second, conversations of one or two requests."""
    due: list[tuple[float, int]] = []
    threads = 0
    number = 0
    while True:
        at_s = number / rate
        if due and due[0][0] <= at_s:
            yield _arrival(seed, number, at_s, thread=heapq.heappop(due)[1], turn=2)
        else:
            threads += 1
            arrival = _arrival(seed, number, at_s, thread=threads, turn=1)
            yield arrival
            if arrival.followed:
                heapq.heappush(due, (at_s + _pause(seed, threads), threads))
        number += 1


def draw(seed: int, *names: object) -> float:
    """A number in [0, 1) that depends on seed and names only."""
    text = ":".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) / 2**56


def thumb(reply: str, *, chance: float) -> str:
    """What a user thinks of an answer, `up` or `down`, from its text alone.

    Args:
        reply: The answer's text.
        chance: A number in [0, 1) that stands for the user's mood.
    """
    lowered = reply.lower()
    annoyed = 0.08
    if "can't help" in lowered or not lowered:
        annoyed = 0.9
    elif "not certain" in lowered:
        annoyed = 0.7
    elif len(lowered.split()) > LONG_ANSWER_WORDS:
        annoyed = 0.35
    return "down" if chance < annoyed else "up"


def _pause(seed: int, thread: int) -> float:
    low, high = FOLLOW_UP_AFTER_S
    return low + (high - low) * draw(seed, "pause", thread)


def _arrival(seed: int, number: int, at_s: float, *, thread: int, turn: int) -> Arrival:
    user = int(draw(seed, "user", thread) * N_USERS)
    questions = _OPENINGS if turn == 1 else _FOLLOW_UPS
    question = questions[int(draw(seed, "question", thread, turn) * len(questions))]
    order = f"A-{10_000_000 + int(draw(seed, 'order', thread) * 89_999_999)}"
    return Arrival(
        number=number,
        at_s=at_s,
        thread=thread,
        turn=turn,
        followed=turn == 1 and draw(seed, "follows", thread) < FOLLOW_UP_SHARE,
        thread_id=f"thread-{seed}-{thread:06d}",
        unit_id=f"user-{user:04d}",
        tier=_TIERS[user % len(_TIERS)],
        region=_REGIONS[user % len(_REGIONS)],
        question=question.format(order=order),
        stream=draw(seed, "stream", number) < STREAMED_SHARE,
    )
