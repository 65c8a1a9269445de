import pytest

from trimtab.prompts.model_pin import is_model, is_pinned, model_family


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-4o-2024-11-20",
        "openai/gpt-4-0613",
        "openai/gpt-4-1106-preview",
        "openai/ft:gpt-4o-2024-08-06:org::id",
        "anthropic/claude-3-5-sonnet-20241022",
        "vertex/claude-3-5-sonnet@20241022",
        "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
        "google/gemini-1.5-pro-001",
        "google/gemini-2.5-pro-preview-05-06",
        "mistral/mistral-large-2411",
        "cohere/command-r-08-2024",
        "own/model@sha256:0123456789abcdef",
    ],
)
def test_a_dated_snapshot_is_pinned(model: str) -> None:
    assert is_pinned(model)


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-4o",
        "openai/gpt-4.1-mini",
        "openai/chatgpt-4o-latest",
        "anthropic/claude-3-5-sonnet-latest",
        "anthropic/claude-sonnet-4-5",
        "google/gemini-1.5-pro",
        "meta/llama-3.1-405b-instruct",
        "groq/mixtral-8x7b-32768",
        "own/phi-3-mini-4k",
        "own/phi-3-mini-128k-instruct",
        "own-2024-11-20/alias",
    ],
)
def test_an_alias_floats(model: str) -> None:
    assert not is_pinned(model)


def test_a_team_may_declare_a_model_pinned() -> None:
    assert is_pinned("vllm/qwen3", pinned_models=["vllm/*"])
    assert is_pinned("vllm/qwen3", pinned_models=["vllm/qwen3"])
    assert not is_pinned("vllm/qwen3", pinned_models=["qwen3", "openai/*"])


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("openai/gpt-4o-2024-11-20", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("anthropic/claude-3-5-sonnet-20241022", "anthropic/claude-3-5-sonnet"),
        ("anthropic/claude-3-5-sonnet-latest", "anthropic/claude-3-5-sonnet"),
        ("google/gemini-1.5-pro-001", "google/gemini-1.5-pro"),
    ],
)
def test_the_family_is_the_model_without_its_snapshot(model: str, family: str) -> None:
    assert model_family(model) == family


@pytest.mark.parametrize("model", ["openai/gpt-4o", "own/org/model:tag", "a.b-c/x"])
def test_a_model_is_provider_and_name(model: str) -> None:
    assert is_model(model)


@pytest.mark.parametrize("model", ["gpt-4o", "/gpt", "openai/", "open ai/gpt", "OpenAI/x", "a/b c"])
def test_another_form_is_not_a_model(model: str) -> None:
    assert not is_model(model)
