"""What an auditor finds."""

from typing import Literal, NamedTuple

Sort = Literal["lost", "duplicated", "paid twice", "wrong"]


class Violation(NamedTuple):
    """`at_ms`: log time of the record that it is about, by which it is put down to a fault; None if there is none."""

    sort: Sort
    what: str
    at_ms: int | None = None
