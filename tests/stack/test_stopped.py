"""A stage that stopped because most of its records failed is to be seen, though its process is started again."""

import psycopg

from sinks.database import dsn
from stack.embedded import Stack
from tests.stack.conftest import elephantasm


def test_status_says_which_stage_stopped_and_why(stack: Stack) -> None:
    assert stack.status().ready
    with psycopg.connect(dsn(stack.settings), autocommit=True) as connection:
        reason = "synthesize stopped: 100 of the last 100 records could not be processed"
        values = ("synthesize", 0, 0, reason)
        connection.execute("INSERT INTO stops (stage, records, failures, reason) VALUES (%s, %s, %s, %s)", values)
        try:
            shown = elephantasm(stack.settings, "status")
        finally:
            connection.execute("DELETE FROM stops")
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (1, f"not ready: {reason}")
    assert stack.status().ready
