"""How every client of ours connects to Kafka, and which partition a key belongs to."""

import ssl
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from stack.settings import Settings
from streams import metadata
from streams.topics import LETTER_BYTES, Topics, topics

metadata.pace()


def bootstrap(settings: Settings) -> str:
    return settings.kafka or f"127.0.0.1:{settings.kafka_port}"


def topics_of(settings: Settings) -> Topics:
    return topics(settings.topic_prefix, settings.generation)


def connection(settings: Settings) -> dict[str, Any]:
    """The arguments that aiokafka's consumer, producer and admin client share."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": bootstrap(settings),
        "security_protocol": settings.kafka_security_protocol.value,
    }
    if settings.kafka_security_protocol.encrypts:
        arguments["ssl_context"] = tls(settings)
    if settings.kafka_security_protocol.asks_for_user:
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism.value,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password(settings),
        }
    return arguments


def password(settings: Settings) -> str:
    assert settings.kafka_sasl_password, "settings refuse a protocol that asks for a user without one"
    return settings.kafka_sasl_password.get_secret_value()


def tls(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context


def producer(settings: Settings, **extra: Any) -> AIOKafkaProducer:
    """A producer whose acknowledged records are on every in-sync replica, once, in the order sent."""
    return AIOKafkaProducer(
        acks="all", enable_idempotence=True, max_request_size=2 * LETTER_BYTES, **connection(settings), **extra
    )


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's default partitioner (murmur2), as every Java client and aiokafka use it."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
