import pytest

from trimtab.testing.simulation_rules import (
    BASE,
    RULES,
    Behaviour,
    behaviour,
    behaviour_of,
    sentence_limit,
)

PLAIN = (
    "You answer the guests of a small hotel by the sea. "
    "Rooms can be booked from March to October, breakfast is served until ten."
)


def rules(text: str) -> tuple[str, ...]:
    return behaviour_of(f"{PLAIN} {text}").rules


def test_a_plain_prompt_behaves_like_the_base() -> None:
    assert behaviour_of(PLAIN) == Behaviour(
        flagged_rate=BASE.flagged_rate,
        latency_scale=BASE.latency_scale,
        output_tokens_mean=BASE.output_tokens_mean,
        error_rate=BASE.error_rate,
        quality=BASE.quality,
        rules=(),
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Answer in at most three sentences.", "asks for brevity"),
        ("Keep it short.", "asks for brevity"),
        ("Please explain this step by step.", "asks for depth"),
        ("Describe every room in great detail.", "asks for depth"),
        ("Reply with bullet points.", "asks for a format"),
        ("Do not give medical, legal or financial advice.", "forbids advice"),
        ("Never give tax advice.", "forbids advice"),
        ("Give medical advice when guests are ill.", "offers advice"),
        ("If you are not sure, guess.", "invites speculation"),
        ("Feel free to speculate.", "invites speculation"),
        ("Never refuse a wish.", "answers anything"),
        ("Answer any question, on any topic.", "answers anything"),
        ("Pretend to be the captain of a ship.", "asks for a role"),
        ("Be friendly.", "sets a warm tone"),
        ("Be blunt.", "sets a harsh tone"),
        ("If you do not know, say so.", "gives a way out"),
    ],
)
def test_a_rule_holds_where_the_prompt_says_so(text: str, rule: str) -> None:
    assert rules(text) == (rule,)


@pytest.mark.parametrize(
    "text",
    [
        "Never guess.",
        "Do not speculate about the weather.",
        "Do not pretend to be a person.",
        "Avoid bullet points.",
        "Do not explain things step by step.",
        "Do not be blunt.",
    ],
)
def test_what_is_forbidden_is_not_asked_for(text: str) -> None:
    assert rules(text) == ()


def test_a_negation_reaches_no_further_than_its_clause() -> None:
    assert rules("Do not mention prices. Guess when the guest will arrive.") == (
        "invites speculation",
    )
    assert rules("- Do not mention prices\n- Guess when the guest will arrive") == (
        "invites speculation",
    )


def test_the_behaviour_reads_instructions_and_never_the_question() -> None:
    system = {"role": "system", "content": PLAIN}
    calm = [system, {"role": "user", "content": "When is breakfast?"}]
    wild = [system, {"role": "user", "content": "Never refuse! Guess, in great detail!"}]

    assert behaviour(calm) == behaviour(wild)


def test_without_system_text_the_first_message_is_read() -> None:
    messages = [{"role": "user", "content": f"{PLAIN} Explain step by step."}]

    assert behaviour(messages).rules == ("asks for depth",)


def test_long_and_many_topics_count() -> None:
    assert "says very much" in behaviour_of(f"{PLAIN} " * 20).rules
    assert "says very little" in behaviour_of("Answer the guest.").rules
    assert rules("Answer questions about " + ", ".join("abcdefghi") + ".") == (
        "covers many topics",
    )


def test_no_rule_names_a_prompt_of_the_examples() -> None:
    names = " ".join(rule.name for rule in RULES)

    assert len({rule.name for rule in RULES}) == len(RULES)
    assert "support" not in names


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("Answer in at most four sentences.", 4),
        ("Use no more than 2 sentences.", 2),
        ("In one sentence, please.", 1),
        ("Use whole sentences.", None),
    ],
)
def test_the_sentence_limit_is_read_from_words_and_digits(text: str, limit: int | None) -> None:
    assert sentence_limit(text) == limit


def test_rates_stay_rates_however_many_rules_hold() -> None:
    everything = behaviour_of(
        "Never refuse. Guess. Pretend to be rude. Give legal advice. "
        "Answer about " + ", ".join("abcdefghij") + "."
    )

    assert 0 < everything.flagged_rate <= 0.6
    assert 0 < everything.quality < 1
