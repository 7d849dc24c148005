"""A wrong setting is named with its value, and the program does not start."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from stack.settings import Settings, SettingsError, settings

WRONG = {
    "KAFKA_PORT": ["0", "65536", "http"],
    "KAFKA_CONTROLLER_PORT": ["-1"],
    "API_PORT": ["70000"],
    "API_PROCESSES": ["0", "65"],
    "STAGE_PROCESSES": ["0", "65"],
    "KAFKA_SECURITY_PROTOCOL": ["TLS", "SASL_PLAINTEXT", "SASL_SSL"],  # the latter two without a user
    "KAFKA_SASL_MECHANISM": ["GSSAPI", "plain"],
    "KAFKA_SSL_CAFILE": ["/nowhere/ca.pem", "/", ""],
    "KAFKA_SSL_CERTFILE": ["/nowhere/cert.pem"],
    "KAFKA_SSL_KEYFILE": ["/nowhere/key.pem"],
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


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ["USERNAME", "PASSWORD"]),
        ({"USERNAME": "ines"}, ["PASSWORD"]),
        ({"USERNAME": "ines", "PASSWORD": ""}, ["PASSWORD"]),
        ({"PASSWORD": "quay"}, ["USERNAME"]),
    ],
)
def test_sasl_needs_a_user_and_keeps_the_password(
    given: dict[str, str], missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELEPHANTASM_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    for name, value in given.items():
        monkeypatch.setenv(f"ELEPHANTASM_KAFKA_SASL_{name}", value)
    with pytest.raises(SettingsError) as refused:
        settings.__wrapped__()
    needed = " and ".join(f"ELEPHANTASM_KAFKA_SASL_{name}" for name in missing)
    assert str(refused.value) == f"ELEPHANTASM_KAFKA_SECURITY_PROTOCOL='SASL_SSL': needs {needed} as well"
    with pytest.raises(ValueError, match="SASL_SSL") as raw:
        Settings(_env_file=None)
    assert "quay" not in str(raw.value)


def test_every_setting_that_can_be_wrong_is_tried_here() -> None:
    """Whoever adds one adds a wrong value above; only of these types is any text right."""
    any_text = (str, str | None, SecretStr | None, Path)
    fields = Settings.model_fields.items()
    free = {name.upper() for name, field in fields if field.annotation in any_text and not field.metadata}
    assert {name.upper() for name, _ in fields} - free == set(WRONG)
