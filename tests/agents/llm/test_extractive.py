"""The model that needs no key: what holds for any window, and how it reads."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agents.llm.errors import WrongSettingError
from agents.llm.extractive import MOST_QUOTES, Extractive, extract
from agents.llm.model import Call
from agents.llm.prompt import prompt
from agents.llm.synthesis import Synthesis, synthesis_call
from tests.agents.llm.conftest import Event

Said = Mapping[str, str]


def said(author: str, content: str, event_type: str = "message.in") -> Said:
    return {"author": author, "type": event_type, "content": content}


TYPES = st.sampled_from(["message.in", "message.out", "tool.call", "tool.result", "system", "custom.kind"])
PHRASES = st.sampled_from(
    [
        "I moved to Lisbon. ",
        "Hi! ",
        "```\nx = 1\n```\n",
        '{"a": [1, 2]}',
        "Wirklich? ",
        "東京に住んでいます。",
        "\n",
        "ok",
        "😀 ",
        "- ",
    ]
)
CONTENT = st.one_of(st.text(max_size=300), st.lists(PHRASES, max_size=30).map("".join))
AUTHORS = st.sampled_from(["Ines", "Tom", "assistant", "tool", "田中"])
WINDOWS = st.lists(st.builds(said, AUTHORS, CONTENT, TYPES), max_size=25)
ANY_WINDOW = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@ANY_WINDOW
@given(WINDOWS)
def test_any_window_gives_a_memory_within_bounds(window: list[Said]) -> None:
    memory = extract(list(window))
    assert memory.summary.strip()
    assert len(memory.summary) < 1_000
    assert 0 <= memory.importance <= 1
    assert 0 <= memory.confidence <= 1


@ANY_WINDOW
@given(WINDOWS)
def test_every_quote_is_verbatim_from_its_author(window: list[Said]) -> None:
    lines = extract(list(window)).content.split("\n")
    if lines[0].startswith("Nothing was said"):
        return
    assert len(lines) <= MOST_QUOTES
    for line in lines:
        author, quote = line.split(": ", 1)
        assert any(e["author"] == author and quote in e["content"].replace("\x00", "") for e in window), line


@ANY_WINDOW
@given(WINDOWS)
def test_the_same_window_gives_the_same_bytes(window: list[Said]) -> None:
    assert extract(list(window)).model_dump_json() == extract([dict(event) for event in window]).model_dump_json()


LISBON = [
    said("Ines", "Hi there! How are you?"),
    said("assistant", "Hello Ines! How can I help you today?", "message.out"),
    said("Ines", "I moved to Lisbon last May with my sister Ana. We used to live in Porto."),
    said("assistant", "That sounds wonderful! Are you enjoying it?", "message.out"),
    said("Ines", "Yes. Actually I no longer eat meat, so please suggest vegetarian places only."),
    said("search", '{"restaurants": [{"name": "Ao 26", "price": 22}]}', "tool.result"),
    said("assistant", "I found Ao 26, for 22 euros.", "message.out"),
    said("Ines", "Great, book Ao 26 for Friday at 20:00."),
]


def test_a_conversation_reads_well() -> None:
    memory = extract(list(LISBON))
    assert memory.summary.startswith("Ines: ")
    assert "I moved to Lisbon last May with my sister Ana." in memory.summary
    assert "Ines: Actually I no longer eat meat, so please suggest vegetarian places only." in memory.content
    assert "How" not in memory.content
    assert "{" not in memory.content
    assert len(memory.summary.split()) <= 42
    assert memory.importance > 0.5


def test_quotes_stand_in_the_order_in_which_they_were_said() -> None:
    spoken = "\n".join(f"{event['author']}: {event['content']}" for event in LISBON)
    quotes = [line.split(": ", 1)[1] for line in extract(list(LISBON)).content.split("\n")]
    assert sorted(quotes, key=spoken.index) == quotes


def test_hash_randomisation_changes_nothing() -> None:
    program = f"from agents.llm.extractive import extract; print(extract({LISBON!r}).model_dump_json())"
    printed = set()
    for seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        printed.add(
            subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True).stdout
        )
    assert len(printed) == 1


@pytest.mark.parametrize(
    ("window", "summary"),
    [
        ([said("Ines", "   ")], "Nothing was said in this window (message.in)."),
        ([], "Nothing was said in this window (no type)."),
        ([said("Ines", "ok")], "Ines: ok."),
        ([said("tool", '{"order": 1042}', "tool.result")], 'tool: {"order": 1042}'),
        ([said("dev", "The deploy of the api failed at 14:02")], "The deploy of the api failed at 14:02."),
        ([said("Jörg", "Ich wohne jetzt in Wien.")], "Jörg: Ich wohne jetzt in Wien."),
        (
            [said("dev", "```python\nimport os\n```\nWe chose to keep the old parser.")],
            "dev: We chose to keep the old parser.",
        ),
        ([said("a", "- **The budget is 25 euros** for the team")], "The budget is 25 euros** for the team."),
    ],
)
def test_small_windows(window: list[Said], summary: str) -> None:
    assert extract(window).summary == summary


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("The weather was grey in the morning.", "I am allergic to peanuts and never eat them."),
        ("We talked about the report for a while.", "Actually the report is due on 12 March, not on Monday."),
        ("ok thanks", "The train leaves from the second platform."),
    ],
)
def test_what_people_are_asked_for_later_is_more_important(less: str, more: str) -> None:
    assert extract([said("Ines", less)]).importance < extract([said("Ines", more)]).importance


def test_tools_alone_are_never_very_important() -> None:
    memory = extract([said("tool", "Actually I decided to never move to my Lisbon flat on 5 May.", "tool.result")])
    assert memory.importance <= 0.35


def test_a_window_of_8000_tokens_is_quoted_briefly() -> None:
    long = " ".join(f"Sentence {n} about topic {n % 37} was written by Anna and Bob." for n in range(700))
    memory = extract([said("Ines", long), said("Ines", "x" * 30_000), said("Ines", "word " * 8_000)])
    assert all(len(line) <= 420 for line in memory.content.split("\n"))


async def test_as_a_language_model() -> None:
    model = Extractive()
    reply = await model.complete(synthesis_call([Event("I moved to Lisbon last May.")], model.name))
    assert reply.value == Synthesis.model_validate_json(reply.raw)
    assert reply.value.content == "Ines: I moved to Lisbon last May."
    assert (reply.input_tokens, reply.output_tokens) == (0, 0)


async def test_it_says_so_when_it_is_asked_for_something_else() -> None:
    class Verdict(BaseModel):
        merge: bool

    with pytest.raises(WrongSettingError, match="ELEPHANTASM_LLM_PROVIDER=extractive cannot answer"):
        await Extractive().complete(Call(prompt("synthesize", 1), [], Verdict, Extractive.name))


def test_it_loads_neither_a_client_nor_numpy() -> None:
    program = (
        "import sys; from agents.llm.provider import provider; from stack.settings import Settings;"
        "print(provider(Settings(_env_file=None)).name, {'anthropic', 'openai', 'numpy', 'nltk'} & sys.modules.keys())"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ELEPHANTASM_")}
    run = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert run.stdout == "extractive/sumbasic set()\n"
