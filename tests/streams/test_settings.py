"""A wrong setting is named with its value, and the program does not start."""

import pytest

from stack.settings import Settings, SettingsError, settings

WRONG = {
    "KAFKA_PORT": ["0", "65536", "http"],
    "KAFKA_CONTROLLER_PORT": ["-1"],
    "API_PORT": ["70000"],
    "API_PROCESSES": ["0", "65"],
    "STAGE_PROCESSES": ["0", "65"],
    "KAFKA_SECURITY_PROTOCOL": ["TLS"],
    "TOPIC_PREFIX": ["a/b", "ü"],
    "PARTITIONS": ["0", "1025", "8.5"],
    "REPLICATION": ["0", "8"],
    "GENERATION": ["0", "first"],
    "WORKER": ["", "a b", "x" * 41],
    "STRICT_ANIMAS": ["perhaps"],
    "TIME_WEIGHT": ["-0.1", "5.1", "nan"],
    "EVENT_WEIGHT": ["2.1"],
    "TOKEN_WEIGHT": ["0.0011"],
    "THRESHOLD": ["0.9", "50.1", "inf"],
    "WINDOW_TOKENS": ["499", "200001"],
    "LLM_PROVIDER": ["parrot"],
    "LLM_CONCURRENCY": ["0", "257"],
    "LLM_TIMEOUT_S": ["0", "601", "nan"],
    "LLM_ATTEMPTS": ["0", "21"],
    "LLM_DAILY_TOKENS": ["-1"],
    "EMBEDDING_PROVIDER": ["word2vec"],
    "BODY_BYTES": ["9999"],
    "BATCH_EVENTS": ["0"],
    "AFTER_TIMEOUT_S": ["0", "301"],
    "SETTLED_TIMEOUT_S": ["0", "301"],
    "FAILURE_SHARE": ["0", "1.1", "half"],
    "LAG_WINDOW_S": ["0", "86401"],
    "LAYER_CACHE_MB": ["-1"],
    "LOG_LEVEL": ["loud"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_setting_is_named_with_its_value(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ELEPHANTASM_{name}", value)
    with pytest.raises(SettingsError) as refused:
        settings.__wrapped__()
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"ELEPHANTASM_{name}={value!r}"]
    assert lines[0].partition(": ")[2]


def test_every_wrong_setting_gets_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEPHANTASM_PARTITIONS", "0")
    monkeypatch.setenv("ELEPHANTASM_THRESHOLD", "0")
    with pytest.raises(SettingsError, match=r"ELEPHANTASM_PARTITIONS='0'.*\n.*ELEPHANTASM_THRESHOLD='0'"):
        settings.__wrapped__()


def test_every_bounded_setting_is_tried_here() -> None:
    """Whoever adds a setting that can be wrong adds a wrong value above."""
    free = {name for name, field in Settings.model_fields.items() if field.annotation is str or not _limited(name)}
    assert {name.upper() for name in Settings.model_fields} - set(WRONG) <= {name.upper() for name in free}


def _limited(name: str) -> bool:
    field = Settings.model_fields[name]
    return bool(field.metadata) or field.annotation in (bool, int, float)
