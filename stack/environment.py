"""The settings as environment variables, so that every process of a stack sees those that it was started with."""

from enum import Enum
from pathlib import Path

from pydantic import SecretStr

from stack.errors import StackError
from stack.settings import Settings, SettingsError, settings


def configured() -> Settings:
    try:
        return settings()
    except SettingsError as error:
        raise StackError(str(error)) from None


def variables(of: Settings) -> dict[str, str]:
    names = of.model_fields_set | {"data_dir"}
    values = {name: getattr(of, name) for name in names}
    return {f"ELEPHANTASM_{name.upper()}": _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.expanduser().absolute())
    if isinstance(value, Enum):
        return str(value.value)
    return str(value)
