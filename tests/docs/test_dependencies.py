"""pyproject.toml, the locks and the page that gives a reason for each dependency agree."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECT = PROJECT["project"]["dependencies"]
GROUPS = PROJECT["dependency-groups"]
PAGE = (ROOT / "docs/decisions/0002-dependencies.md").read_text()


def name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return found[0].lower()


def table(heading: str) -> list[str]:
    rows = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [row.split(" | ")[0].removeprefix("| ") for row in rows]


def test_every_dependency_has_its_reason_in_order() -> None:
    assert table("dependency") == sorted(map(name, DIRECT))
    assert table("for development") == sorted(name(one) for group in GROUPS.values() for one in group)


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        ("requirements.lock", DIRECT),
        ("requirements-dev.lock", DIRECT + GROUPS["dev"]),
        ("benchmarks/requirements-quix.lock", GROUPS.get("quix", [])),
    ],
)
def test_a_lock_holds_everything_that_was_asked_for(lock: str, asked: list[str]) -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
    assert {name(one) for one in asked} - {one.lower() for one in locked} == set(), "run make lock"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "benchmarks/requirements-quix.lock"])
def test_a_lock_names_every_file_by_its_hash_and_no_place_to_get_it_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = re.split(r"\n(?=[\w.-]+==)", text)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
