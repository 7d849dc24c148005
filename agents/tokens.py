"""Token counts in o200k_base, offline."""

from functools import cache
from typing import Any


@cache
def _tokenizer() -> Any:
    from bpe_openai._bindings import tokenizer_for_encoding  # 70 MB of tables: loaded by those who count

    return tokenizer_for_encoding("o200k_base")


def count_tokens(text: str) -> int:
    """Tokens of `text` in o200k_base. Raises UnicodeEncodeError for lone surrogates, which no record may contain."""
    return int(_tokenizer().count(text))
