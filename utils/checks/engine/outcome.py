"""What a check found: plain data, made by the rooms of the engine and shown as a panel."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["right", "not_written", "wrong", "raised"]


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        status: right, not_written, wrong or raised.
        mistake: the name of the mistake, where a known one explains everything that was seen.
        message: one or two sentences for the learner; `code` stands in backticks.
        evidence: preformatted lines: the smallest case that differs, or the learner's own line.
        stand_in: right, yet the lesson cannot go on with it (a tensor where it needs an array).
    """

    status: Status
    mistake: str | None = None
    message: str = ""
    evidence: str = ""
    stand_in: bool = False
