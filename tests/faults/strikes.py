"""What was struck when: by this a call to the model that was asked again has to be explained."""

from dataclasses import dataclass

SERVERS = ("kafka", "postgres")  # their harm lasts until everything works again


@dataclass
class Strike:
    """Seconds since the epoch. `program`: a stage, `api`, or a server."""

    program: str
    at: float
    until: float
