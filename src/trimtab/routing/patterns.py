"""Regular expressions in conditions, kept from running away.

Whoever writes a condition may write a pattern that takes exponential time on a value that a
stranger chooses. A pattern is used only if the ways it can split a value stay few, and only on
short values; any other counts as invalid, which matches nothing.
"""

import re

PATTERN_CHARACTERS = 512
VALUE_CHARACTERS = 512

# Three open places over a value: the search's start and two repeats without limit, say. The worst
# patterns of that size take 0.3 s on a value of full length.
MOST_WAYS = (VALUE_CHARACTERS + 1) ** 3

_TOKEN = re.compile(
    r"""(?P<escape>\\.)
      | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
      | (?P<refused>\(\?(?:P=|\(|\#|[a-wyzA-Z]*x))
      | (?P<open>\((?:\?(?:P?<[A-Za-z_]\w*>|<?[=!]|[:>]|[a-zA-Z-]+:?))?)
      | (?P<close>\))
      | (?P<repeat>[*+?]|\{[0-9]*(?:,[0-9]*)?\})
      | (?P<bar>\|)
      | (?P<atom>.)""",
    re.VERBOSE | re.DOTALL,
)
_BACK_REFERENCES = "123456789gk"


def compile_pattern(pattern: object, *, insensitive: bool) -> re.Pattern[str] | None:
    """The compiled pattern; None if it is no valid regular expression, or may run away."""
    if not isinstance(pattern, str) or len(pattern) > PATTERN_CHARACTERS:
        return None
    if ways_to_match(pattern) > MOST_WAYS:
        return None
    try:
        return re.compile(pattern, re.IGNORECASE if insensitive else re.NOFLAG)
    except (re.error, OverflowError, RecursionError):
        return None


class _Group:
    """The ways through what has been read between two parentheses.

    Things in a row multiply, alternatives add; the last thing is kept apart for a repeat sign.
    """

    def __init__(self) -> None:
        self.alternatives = 0
        self.row = 1
        self.last = 1

    def add(self, ways: int) -> None:
        self.row = min(self.row * self.last, MOST_WAYS + 1)
        self.last = ways

    def branch(self) -> None:
        self.alternatives = self.ways
        self.row = self.last = 1

    def repeat(self, sign: str) -> None:
        self.last = min(_repeated(self.last, sign), MOST_WAYS + 1)

    @property
    def ways(self) -> int:
        return min(self.alternatives + self.row * self.last, MOST_WAYS + 1)


def ways_to_match(pattern: str) -> int:
    """An upper bound on the ways a backtracking search can try a value of 512 characters.

    More than `MOST_WAYS` for back references, conditional groups, comments and the verbose flag,
    whose cost is not counted.
    """
    groups = [_Group()]
    repeatable = False
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token.group()
        if kind == "refused" or (kind == "escape" and text[1] in _BACK_REFERENCES):
            return MOST_WAYS + 1
        if kind == "repeat":
            if repeatable:  # a second sign only says "lazy" or "possessive"
                groups[-1].repeat(text)
        elif kind == "open":
            groups.append(_Group())
        elif kind == "close" and len(groups) > 1:
            inner = groups.pop().ways
            groups[-1].add(inner)
        elif kind == "bar":
            groups[-1].branch()
        else:
            groups[-1].add(1)
        repeatable = kind not in {"repeat", "open", "bar"}
    whole = groups[0]
    is_anchored = pattern.startswith(("^", r"\A")) and not whole.alternatives
    return whole.ways * (1 if is_anchored else VALUE_CHARACTERS + 1)


def _repeated(ways: int, sign: str) -> int:
    """Ways through a repeated thing that has `ways` through it once."""
    if sign == "?":
        return ways + 1
    low, comma, high = ("0", ",", "") if sign in {"*", "+"} else sign[1:-1].partition(",")
    if not comma:
        high = low
    least = min(int(low or 0), VALUE_CHARACTERS)
    most = min(int(high), VALUE_CHARACTERS) if high else VALUE_CHARACTERS
    return max(most - least + 1, 1) * int(min(ways**most, MOST_WAYS + 1))
