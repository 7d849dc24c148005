"""What whoever starts servers of his own does first."""

import logging
import os
import signal


def isolate() -> None:
    """Settings of the caller would point at servers with real animas; SIGTERM must stop what was started."""
    for name in [name for name in os.environ if name.startswith("ELEPHANTASM_")]:
        del os.environ[name]
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a fresh topic has no leader for a moment
    signal.signal(signal.SIGTERM, signal.default_int_handler)
