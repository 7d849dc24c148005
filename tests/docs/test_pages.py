"""What the pages link to is there, and the commands that they name exist."""

import re
from itertools import chain
from pathlib import Path

import pytest
from typer.main import get_command

from stack.cli import app
from stack.settings import Settings

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *DECISIONS]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """As they are derived from headings: lower case, without punctuation, dashes for blanks."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(found), f"{target}#{anchor}"


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=names)
def test_a_decision_is_listed_and_says_context_choice_and_consequence(page: Path) -> None:
    assert f"(decisions/{page.name})" in (ROOT / "docs/README.md").read_text()
    text = page.read_text()
    assert text.startswith(f"# {page.name[:4]} ")
    found = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert found == ["Context", "Choice", "Consequence"]


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    named = re.findall(r"`make ([a-z]+)", text) + re.findall(r"^    make ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= targets


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_command_of_elephantasm_exists(page: Path) -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    text = page.read_text()
    found = chain(re.findall(r"`elephantasm ([a-z-]+)", text), re.findall(r"bin/elephantasm ([a-z-]+)", text))
    assert set(found) <= commands


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {f"ELEPHANTASM_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bELEPHANTASM_[A-Z_]+[A-Z]\b", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_file_that_is_named_exists(page: Path) -> None:
    folders = "streams|tables|agents|sinks|api|stack|examples|benchmarks|docs|tests"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text()):
        assert (ROOT / path).exists(), path
