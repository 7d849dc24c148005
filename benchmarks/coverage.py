"""coverage: the share of cited conversation turns that packs hold verbatim, per token budget.

Runs `score_packs.py` on its conversations (ELEPHANTASM_BENCH_EVAL names the folder, by default ../shared/eval) through
the API of a whole stack, with the extractive provider and local embeddings. The data set is not part of this
repository. The baseline, BM25 over whole turns cut at the budget, is measured here on the same questions.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from math import log
from pathlib import Path
from typing import Any

from agents.tokens import count_tokens
from agents.words import terms
from benchmarks.figure import Figure
from benchmarks.world import World, whole_stack

EVAL = Path(os.environ.get("ELEPHANTASM_BENCH_EVAL", Path(__file__).parents[2] / "shared/eval"))
ROW_E = {512: 0.719, 1024: 0.809, 2048: 0.871, 4096: 0.914}  # of the evaluation's baselines.md
K1, B = 1.2, 0.75


def run(world: World) -> list[Figure]:
    script = EVAL / "score_packs.py"
    if not script.exists():
        world.say(f"no {script}: nothing measured")
        return []
    report = world.folder / "report.json"
    with whole_stack(world) as stack:
        world.say("asking for packs")
        command = [sys.executable, str(script), "--url", f"http://127.0.0.1:{stack.settings.api_port}"]
        command += ["--json", str(report), *(["--limit", "10"] if world.quick else [])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    world.say("measuring the baseline")
    measured, baseline = json.loads(report.read_text()), _bm25(10 if world.quick else None)
    return [figure for budget in ROW_E for figure in _figures(measured, baseline, budget)]


def _figures(measured: dict[str, Any], baseline: dict[int, float], budget: int) -> list[Figure]:
    row = measured[f"mean@{budget}"]
    return [
        Figure(f"evidence coverage @{budget}", row["coverage"], "", at_least=ROW_E[budget],
               baseline=baseline[budget], baseline_name="BM25 over turns", note=f"{row['n']} questions"),
        Figure(f"packs over their budget @{budget}", row["over"], "", at_most=0),
        *(Figure(f"evidence coverage @{budget}, {kind}", measured[f"{kind}@{budget}"]["coverage"], "")
          for kind in ("single-hop", "multi-hop", "temporal", "open-domain", "adversarial")
          if f"{kind}@{budget}" in measured),
    ]  # fmt: skip


def _bm25(limit: int | None) -> dict[int, float]:
    """Mean coverage of `[date] author: content` lines, ranked by BM25 per question and cut at each budget."""
    shares: dict[int, list[float]] = {budget: [] for budget in ROW_E}
    for path in sorted((EVAL / "locomo-dev").glob("*.events.jsonl")):
        events = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [f"[{event['occurred_at'][:10]}] {event['author']}: {event['content']}" for event in events]
        index = _Index([Counter(terms(event["content"])) for event in events])
        costs = [count_tokens(line + "\n") for line in lines]
        questions = path.with_name(path.name.replace("events", "questions")).read_text().splitlines()[:limit]
        for question in map(json.loads, questions):
            if question["category"] != "adversarial":
                order = index.ranked(question["question"])
                for budget, found in shares.items():
                    kept = {events[at]["dedupe_key"] for at in _filled(order, costs, budget)}
                    found.append(sum(cited in kept for cited in question["evidence"]) / len(question["evidence"]))
    return {budget: sum(found) / len(found) for budget, found in shares.items()}


class _Index:
    def __init__(self, documents: list[Counter[int]]) -> None:
        self.documents = documents
        self.lengths = [document.total() for document in documents]
        self.mean = sum(self.lengths) / len(documents)
        self.frequency = Counter(term for document in documents for term in document)

    def ranked(self, question: str) -> list[int]:
        words = set(terms(question))
        return sorted(range(len(self.documents)), key=lambda at: (-self._score(at, words), at))

    def _score(self, at: int, words: set[int]) -> float:
        document, norm = self.documents[at], K1 * (1 - B + B * self.lengths[at] / self.mean)
        return sum(
            log(1 + (len(self.documents) - self.frequency[word] + 0.5) / (self.frequency[word] + 0.5))
            * document[word] * (K1 + 1) / (document[word] + norm)
            for word in words if word in document
        )  # fmt: skip


def _filled(order: list[int], costs: list[int], budget: int) -> list[int]:
    kept = []
    for at in order:
        if costs[at] <= budget:
            budget -= costs[at]
            kept.append(at)
    return kept
