"""The clients that Faust makes connect as ours do, whatever protects the brokers."""

from typing import Any

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import SecretStr

from stack.settings import SaslMechanism, SecurityProtocol, Settings
from streams.app import faust_app
from streams.kafka import connection

USER: dict[str, Any] = {
    "kafka_sasl_username": "ines",
    "kafka_sasl_password": SecretStr("quay"),
}


@pytest.mark.parametrize("mechanism", SaslMechanism)
@pytest.mark.parametrize("protocol", SecurityProtocol)
def test_faust_has_the_same_credentials(protocol: SecurityProtocol, mechanism: SaslMechanism, tmp_path: Any) -> None:
    chosen: dict[str, Any] = USER | {"kafka_sasl_mechanism": mechanism} if protocol.value.startswith("SASL") else {}
    settings = Settings(
        _env_file=None, kafka="one:9092,two:9092", data_dir=tmp_path, kafka_security_protocol=protocol, **chosen
    )
    ours, app = connection(settings), faust_app(settings, "score")
    theirs = dict(credentials_to_aiokafka_auth(app.conf.broker_credentials))
    contexts = [arguments.pop("ssl_context", None) is not None for arguments in (ours, theirs)]
    assert contexts == [protocol.value.endswith("SSL")] * 2
    assert [str(url) for url in app.conf.broker] == ["kafka://one:9092", "kafka://two:9092"]
    assert ours.pop("bootstrap_servers") == "one:9092,two:9092"
    assert theirs == ours
    if chosen:
        assert (ours["sasl_plain_username"], ours["sasl_plain_password"]) == ("ines", "quay")
        assert ours["sasl_mechanism"] == mechanism.value
