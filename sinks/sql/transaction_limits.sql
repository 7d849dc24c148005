-- A worker that freezes in its transaction must not hold up its successor for longer than a session in Kafka lasts.
SELECT set_config('idle_in_transaction_session_timeout', '8s', true), set_config('lock_timeout', '8s', true)
