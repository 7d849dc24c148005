"""Token counts, offline; in o200k_base unless told otherwise."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path


@cache
def counter(encoding: str = "o200k_base") -> Callable[[str], int]:
    """The counting function itself, for those who count a hundred thousand texts a second."""
    # Only the extension is loaded: the package around it decodes the tables of every encoding, 60 MB that nobody uses.
    package = find_spec("bpe_openai")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("bpe-openai is not installed; `make` installs it from requirements.lock")
    extension = next(Path(package.origin).parent.glob("_bindings*.so"))
    spec = spec_from_file_location("bpe_openai._bindings", extension)
    assert spec is not None
    assert spec.loader is not None
    bindings = module_from_spec(spec)
    spec.loader.exec_module(bindings)
    count: Callable[[str], int] = bindings.tokenizer_for_encoding(encoding).count
    return count


def count_tokens(text: str) -> int:
    """Tokens of `text` in o200k_base. Raises UnicodeEncodeError for lone surrogates, which no record may contain."""
    return counter()(text)
