"""The local model: near texts are near, and a vector is the same alone and in a batch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from agents.embeddings.minilm import Vectors, build, load, weights_folder

Encode = Callable[[Sequence[str]], Vectors]
TEXTS = [
    "The courier changed to Swift Parcel on Monday.",
    "Since Monday the deliveries come with Swift Parcel.",
    "She plays the cello in a string quartet.",
    "He is learning to play the violin.",
    "x",
    "",
    "日本語の文章です。",
    "The invoice is overdue. " * 200,
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "minilm"
    build(weights_folder(), folder)
    return folder


@pytest.fixture(scope="module")
def encode(built: Path) -> Encode:
    return load(built)


def test_cosines_of_known_pairs(encode: Encode) -> None:
    """Against sentence-transformers' all-MiniLM-L6-v2 in float32, as far as int8 weights allow."""
    pairs = [
        ("A man is eating food.", "A man is eating a piece of bread.", 0.755),
        ("The cat sits outside", "The dog plays in the garden", 0.2838),
        ("A man is playing guitar", "A woman watches TV", -0.0327),
        ("The new movie is awesome", "The new movie is so great", 0.8939),
    ]
    for first, second, expected in pairs:
        one, other = encode([first, second])
        assert float(one @ other) == pytest.approx(expected, abs=0.05)


def test_near_texts_are_near(encode: Encode) -> None:
    vectors = encode(TEXTS[:4])
    cosines = vectors @ vectors.T
    assert min(cosines[0, 1], cosines[2, 3]) > 0.4 > 0.2 > cosines[:2, 2:].max()


def test_a_vector_is_the_same_alone_and_in_a_batch(encode: Encode) -> None:
    together = encode(TEXTS * 5)
    for place, text in enumerate(TEXTS):
        np.testing.assert_allclose(together[place], encode([text])[0], atol=2e-6)
        assert np.array_equal(together[place], together[place + len(TEXTS)])


def test_vectors_have_length_one(encode: Encode) -> None:
    vectors = encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encode([]).shape == (0, 384)


def test_threads_share_an_encoder(encode: Encode) -> None:
    expected = encode(TEXTS)
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: encode(TEXTS), range(4)):
            np.testing.assert_allclose(found, expected, atol=2e-6)


def test_builders_at_the_same_time_leave_one_whole_model(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: build(weights_folder(), tmp_path / "minilm"), range(2)))
    assert [path.name for path in tmp_path.iterdir()] == ["minilm"]
    assert load(tmp_path / "minilm")(["x"]).shape == (1, 384)
