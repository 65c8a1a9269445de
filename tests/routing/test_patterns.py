import re
import time

import pytest

from trimtab.routing.patterns import (
    MOST_WAYS,
    PATTERN_CHARACTERS,
    VALUE_CHARACTERS,
    compile_pattern,
    ways_to_match,
)


@pytest.mark.parametrize(
    "pattern",
    [
        "(Mobile|Tablet)",
        "-12-25$",
        "^ping",
        r"@example\.com$",
        "[a-z]+@[a-z]+",
        r"^v\d+\.\d+\.\d+",
        "(?i)vip",
        "(?P<tier>gold|vip)",
        r"\bpro\b",
        "^.*team.*$",
        "[]a-]+x",
        "a{2,4}",
        "(?:ab)+",
    ],
)
def test_the_patterns_people_write_are_taken(pattern: str) -> None:
    assert compile_pattern(pattern, insensitive=False) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*$",
        "(a|b|ab)*c",
        "^(.*)*$",
        "(a{0,20}){20}",
        ".*a.*b.*c",
        "(a?){40}a",
        "a?" * 30 + "a" * 30,
        "((a*)b?)*",
        "(?:(?:x+)y?)+",
        r"(\w+)\s\1",
        "(?P<a>x)(?P=a)",
        "(a)?(?(1)b|c)",
        "(?#comment)a",
        "(?x)a b",
        "(?=(a+))+b",
    ],
)
def test_patterns_that_may_run_away_are_refused(pattern: str) -> None:
    assert ways_to_match(pattern) > MOST_WAYS
    assert compile_pattern(pattern, insensitive=False) is None


@pytest.mark.parametrize("pattern", ["/???***[)", "(", "a{3,2}", "[z-a]", "(?P<1>a)", None, 5])
def test_what_is_no_regular_expression_is_refused(pattern: object) -> None:
    assert compile_pattern(pattern, insensitive=False) is None


def test_a_pattern_longer_than_the_limit_is_refused() -> None:
    assert compile_pattern("a" * PATTERN_CHARACTERS, insensitive=False) is not None
    assert compile_pattern("a" * (PATTERN_CHARACTERS + 1), insensitive=False) is None


@pytest.mark.parametrize(
    "pattern", ["[ab]*[ab]*[cd]", "^[ab]*[ab]*[ab]*[cd]", ".*.*[bc]d", "[ab]{1,500}[ab]*[cd]"]
)
def test_the_worst_patterns_that_are_taken_end_soon(pattern: str) -> None:
    compiled = compile_pattern(pattern, insensitive=False)
    assert compiled is not None

    started = time.process_time()
    found = compiled.search("ab" * (VALUE_CHARACTERS // 2))

    assert found is None
    assert time.process_time() - started < 5


def test_case_counts_unless_the_operator_says_otherwise() -> None:
    sensitive = compile_pattern("mobile", insensitive=False)
    insensitive = compile_pattern("mobile", insensitive=True)
    assert isinstance(sensitive, re.Pattern)
    assert isinstance(insensitive, re.Pattern)

    assert (bool(sensitive.search("Mobile")), bool(insensitive.search("Mobile"))) == (False, True)
