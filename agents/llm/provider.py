"""The language model that the settings ask for."""

from agents.llm.errors import WrongSettingError
from agents.llm.extractive import Extractive
from agents.llm.model import LanguageModel
from stack.settings import LLMProvider, Settings

# Chosen for many short extractions; ELEPHANTASM_LLM_MODEL overrides.
DEFAULT_MODELS = {LLMProvider.anthropic: "claude-haiku-5-5", LLMProvider.openai: "gpt-6-luna"}


def provider(settings: Settings) -> LanguageModel:
    """Does no I/O. Raises WrongSettingError if a key is missing, naming the variable that should hold it."""
    # The client libraries take 50 to 80 MB: who does not use them does not load them.
    if settings.llm_provider is LLMProvider.extractive:
        return Extractive()
    model = settings.llm_model or DEFAULT_MODELS[settings.llm_provider]
    key, base_url, timeout_s = _key(settings), settings.llm_base_url, settings.llm_timeout_s
    if settings.llm_provider is LLMProvider.anthropic:
        from agents.llm.anthropic import Anthropic

        return Anthropic(api_key=key, model=model, base_url=base_url, timeout_s=timeout_s)
    from agents.llm.openai import OpenAI

    return OpenAI(api_key=key, model=model, base_url=base_url, timeout_s=timeout_s)


def _key(settings: Settings) -> str:
    secret = settings.anthropic_api_key if settings.llm_provider is LLMProvider.anthropic else settings.openai_api_key
    if secret is not None and secret.get_secret_value():
        return secret.get_secret_value()
    # Servers of one's own seldom ask for a key, but the clients insist on having one.
    if settings.llm_base_url:
        return "none"
    variable = f"ELEPHANTASM_{settings.llm_provider.upper()}_API_KEY"
    raise WrongSettingError(
        f"{variable} is not set, and ELEPHANTASM_LLM_PROVIDER={settings.llm_provider} needs it; "
        "ELEPHANTASM_LLM_PROVIDER=extractive works without a key"
    )
