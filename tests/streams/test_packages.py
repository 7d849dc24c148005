"""Names as plain as ours exist elsewhere too (openai-agents is imported as `agents`, PyTables as `tables`)."""

from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["streams", "tables", "agents", "sinks", "api", "stack"])
def test_a_package_is_this_repository_s(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")
