"""What goes wrong with a stack, said in one line with its mend."""

from __future__ import annotations


class StackError(Exception):
    """A plain sentence about what is wrong, and what a person can do about it.

    `str(error)` is one line: "<what is wrong>; <the mend>". `evidence` is shown above it where there is some,
    such as the end of a log.
    """

    def __init__(self, what: str, mend: str, evidence: str = "") -> None:
        super().__init__(f"{what}; {mend}")
        self.evidence = evidence
