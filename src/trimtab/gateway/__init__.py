"""The gateway: OpenAI's protocol in front, decision and rendering inside, a provider behind."""
