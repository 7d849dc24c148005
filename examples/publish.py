"""Publish an agent's telemetry to Kafka, the way any producer would: one JSON object per line, one record per line."""

import argparse
import asyncio
import json
import logging
import os
import ssl
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError


async def publish(bootstrap: str, protection: dict[str, Any], topic: str, key: str, lines: list[str]) -> str:
    """Send every line under one key, at the time it occurred, and say where the records went."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, **protection)
    try:
        await producer.start()
        if topic not in (await producer.client.fetch_all_metadata()).topics():
            raise SystemExit(f"The topic {topic} does not exist on {bootstrap}.")
        deliveries = []
        for line in lines:
            occurred_at = datetime.fromisoformat(json.loads(line)["occurred_at"])
            timestamp_ms = round(occurred_at.timestamp() * 1000)
            deliveries.append(await producer.send(topic, line.encode(), key=key.encode(), timestamp_ms=timestamp_ms))
        sent = await asyncio.gather(*deliveries)
    finally:
        await producer.stop()
    offsets = f"{sent[0].offset}–{sent[-1].offset}"  # noqa: RUF001 (a range takes an en dash)
    return f"published {len(sent)} records to {topic}/{sent[0].partition}, offsets {offsets}"


def protected(args: argparse.Namespace) -> dict[str, Any]:
    """What aiokafka's clients need to know of a broker that asks for a user or is reached by TLS."""
    protection: dict[str, Any] = {"security_protocol": args.security_protocol}
    if args.security_protocol.endswith("SSL"):
        protection["ssl_context"] = context = ssl.create_default_context(cafile=args.ca_file)
        if args.cert_file:
            context.load_cert_chain(args.cert_file, args.key_file)
    if args.security_protocol.startswith("SASL"):
        protection["sasl_mechanism"] = args.sasl_mechanism
        protection["sasl_plain_username"] = args.sasl_username
        protection["sasl_plain_password"] = os.environ.get("KAFKA_PASSWORD", "")
    return protection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="Kafka broker, host:port")
    parser.add_argument("--security-protocol", default="PLAINTEXT", help="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    parser.add_argument("--sasl-mechanism", default="PLAIN", help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    parser.add_argument("--sasl-username", help="its password is read from the environment variable KAFKA_PASSWORD")
    parser.add_argument("--ca-file", help="PEM file of the authorities to trust instead of the system's")
    parser.add_argument("--cert-file", help="PEM file of the client's certificate")
    parser.add_argument("--key-file", help="PEM file of the client's key")
    parser.add_argument("--topic", default="elephantasm.events")
    parser.add_argument("--key", required=True, help="whose telemetry this is: the anima's name or id")
    parser.add_argument("--file", type=Path, default=Path(__file__).with_name("telemetry.jsonl"))
    args = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is said once, below
    try:
        lines = [line for line in args.file.read_text(encoding="utf-8").splitlines() if line.strip()]
        if lines:
            print(asyncio.run(publish(args.bootstrap, protected(args), args.topic, args.key, lines)))
        else:
            print(f"{args.file} is empty")
    except KafkaConnectionError:
        sys.exit(
            f"No Kafka broker is reachable at {args.bootstrap} over {args.security_protocol}, or it refuses the user."
        )
    except (KafkaError, OSError, ValueError) as error:
        sys.exit(f"The telemetry could not be published: {error}")


if __name__ == "__main__":
    main()
