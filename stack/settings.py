"""Every setting, read once: environment variables `ELEPHANTASM_…`, or the same names in a file `.env`.

`docs/settings.md` is generated from the descriptions below.
"""

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, FilePath, SecretStr, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]
File = Annotated[FilePath, WithJsonSchema({"type": "string", "format": "path"})]  # one that is there


class LLMProvider(StrEnum):
    extractive = "extractive"
    anthropic = "anthropic"
    openai = "openai"


class EmbeddingProvider(StrEnum):
    local = "local"
    openai = "openai"


class SecurityProtocol(StrEnum):
    plaintext = "PLAINTEXT"
    ssl = "SSL"
    sasl_plaintext = "SASL_PLAINTEXT"
    sasl_ssl = "SASL_SSL"

    @property
    def encrypts(self) -> bool:
        return self in (SecurityProtocol.ssl, SecurityProtocol.sasl_ssl)

    @property
    def asks_for_user(self) -> bool:
        return self in (SecurityProtocol.sasl_plaintext, SecurityProtocol.sasl_ssl)


class SaslMechanism(StrEnum):
    plain = "PLAIN"
    scram_sha_256 = "SCRAM-SHA-256"
    scram_sha_512 = "SCRAM-SHA-512"


class SettingsError(Exception):
    """A setting is wrong. The message names the key, the value and what is allowed."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ELEPHANTASM_", env_file=".env", frozen=True, extra="ignore")

    # where things are
    kafka: str | None = Field(
        None, description="Bootstrap servers of an existing Kafka, `host:port[,host:port]`. Unset: the embedded broker."
    )
    database: SecretStr | None = Field(
        None, description="Connection string of an existing PostgreSQL with pgvector. Unset: the embedded server."
    )
    data_dir: Path = Field(
        Path(".elephantasm"), description="Directory of the embedded stack: log, rows, state, models."
    )
    kafka_port: Port = Field(9092, description="Port of the embedded broker, on 127.0.0.1.")
    kafka_controller_port: Port = Field(9093, description="Port of the embedded broker's controller, on 127.0.0.1.")
    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: Port = Field(8000, description="Port that the API listens on.")
    api_processes: int = Field(2, ge=1, le=64, description="Processes that serve the API on that port.")
    stage_processes: int = Field(
        1, ge=1, le=64, description="Processes of each stage on the embedded stack; more than partitions are idle."
    )

    # how to reach an existing Kafka
    kafka_security_protocol: SecurityProtocol = Field(SecurityProtocol.plaintext, description="As in Kafka's clients.")
    kafka_sasl_mechanism: SaslMechanism = Field(SaslMechanism.plain, description="How the SASL user is authenticated.")
    kafka_sasl_username: str | None = Field(None, description="SASL user.")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password.")
    kafka_ssl_cafile: File | None = Field(
        None, description="PEM file of the authorities to trust. Unset: the system's."
    )
    kafka_ssl_certfile: File | None = Field(None, description="PEM file of the client's certificate.")
    kafka_ssl_keyfile: File | None = Field(None, description="PEM file of the client's key.")

    # the log
    topic_prefix: str = Field(
        "elephantasm.", pattern=r"^[a-zA-Z0-9._-]*$", description="Put before every topic and group."
    )
    partitions: int = Field(
        8, ge=1, le=1024, description="Partitions of every topic; changing it means a new generation."
    )
    replication: int = Field(1, ge=1, le=7, description="Replicas of every topic that the admin step creates.")
    generation: int = Field(1, ge=1, description="Which derivation of the log this process works on.")
    worker: str = Field(
        "1",
        pattern=r"^[a-zA-Z0-9_-]{1,40}$",
        description="Name of this process; two workers of a stage that have one name put each other out of its group.",
    )
    strict_animas: bool = Field(
        False,
        description="Dead-letter events of unknown animas instead of registering them. They count in the score, which "
        "does not know, so that a window may come early, or hold nothing and yield no memory.",
    )
    failure_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="`sink` and `synthesize` stop when more than this share of their latest records fails, of at "
        "least 100; 1: never, all of them become dead letters.",
    )

    # accumulation: the defaults of animas that have no configuration of their own
    time_weight: float = Field(1.0, ge=0, le=5, description="Score per hour since the first pending event.")
    event_weight: float = Field(0.5, ge=0, le=2, description="Score per pending event.")
    token_weight: float = Field(0.0003, ge=0, le=0.001, description="Score per pending token.")
    threshold: float = Field(10.0, ge=1, le=50, description="Score at which a window is synthesised.")
    window_tokens: int = Field(
        8000, ge=500, le=200_000, description="A window is cut before it exceeds so many tokens."
    )

    # language models
    llm_provider: LLMProvider = Field(
        LLMProvider.extractive, description="Who writes memories; extractive needs no key."
    )
    llm_model: str | None = Field(None, description="Model name. Unset: the provider's default.")
    llm_base_url: str | None = Field(None, description="Base URL of an OpenAI- or Anthropic-compatible server.")
    anthropic_api_key: SecretStr | None = Field(None, description="Key for Anthropic.")
    openai_api_key: SecretStr | None = Field(None, description="Key for OpenAI or a compatible server.")
    llm_concurrency: int = Field(8, ge=1, le=256, description="LLM calls in flight per process.")
    llm_timeout_s: float = Field(60.0, gt=0, le=600, description="Seconds before one LLM call is given up.")
    llm_attempts: int = Field(5, ge=1, le=20, description="Attempts of one LLM call, invalid replies included.")
    llm_daily_tokens: int = Field(
        2_000_000, ge=0, description="Tokens that one anima may spend in 24 hours; 0: no limit."
    )

    # embeddings
    embedding_provider: EmbeddingProvider = Field(
        EmbeddingProvider.local, description="local (all-MiniLM-L6-v2) or openai (text-embedding-3-small)."
    )

    # limits
    body_bytes: int = Field(8_000_000, ge=10_000, description="Largest HTTP request body, in bytes.")
    batch_events: int = Field(10_000, ge=1, description="Most events in one HTTP batch.")
    after_timeout_s: float = Field(10.0, gt=0, le=300, description="How long a read waits for `after`.")
    settled_timeout_s: float = Field(30.0, gt=0, le=300, description="How long a pack waits for `settled`.")
    layer_cache_mb: int = Field(
        512,
        ge=0,
        description="Memory of an API process for vectors and word counts of animas asked about lately, in MB; vectors "
        "that would take more than half of it are compared in Postgres.",
    )
    lag_window_s: float = Field(
        300.0, ge=1, le=86_400, description="Seconds that the verdict on a stage's progress looks back."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Verbosity of every process.")

    @model_validator(mode="after")
    def _has_the_user_asked_for(self) -> Self:
        missing = [name for name in ("kafka_sasl_username", "kafka_sasl_password") if not getattr(self, name)]
        if self.kafka_security_protocol.asks_for_user and missing:
            needed = {"needed": " and ".join(map(_variable, missing))}
            # Of a ValueError the input would be all settings, with the password.
            wrong = InitErrorDetails(
                type=PydanticCustomError("user_missing", "needs {needed} as well", needed),
                loc=("kafka_security_protocol",),
                input=self.kafka_security_protocol.value,
            )
            raise ValidationError.from_exception_data("Settings", [wrong])
        return self


@cache
def settings() -> Settings:
    """The settings of this process. Raises SettingsError with one line per wrong key."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(e) for e in error.errors())) from None  # type: ignore[arg-type]


def _explain(error: dict[str, object]) -> str:
    key = _variable("_".join(str(part) for part in error["loc"]))  # type: ignore[attr-defined]
    return f"{key}={error['input']!r}: {error['msg']}"


def _variable(name: str) -> str:
    return f"ELEPHANTASM_{name.upper()}"
