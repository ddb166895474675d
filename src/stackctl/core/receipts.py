"""What an installation wrote down of what it made, so that all of it can be undone and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("bin_dir", "folder", "version", "link", "file", "block", "backup")
"""Where the command is linked; then what was made: `block` is one in a start-up file, `backup` its copy."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The entries of a receipt, oldest first; later ones of a kind win where only one counts."""

    entries: tuple[tuple[str, str], ...] = ()

    def every(self, kind: str) -> tuple[str, ...]:
        """All values of a kind, each once."""
        return tuple(dict.fromkeys(value for name, value in self.entries if name == kind))

    def last(self, kind: str) -> str:
        """The value that holds; empty without one."""
        return next((value for name, value in reversed(self.entries) if name == kind), "")


def parse_receipt(text: str) -> Receipt:
    """Read a receipt; a line that was cut off when its writer was killed is left out."""
    whole = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    pairs = (line.partition(" ") for line in whole)
    return Receipt(tuple((kind, value) for kind, _, value in pairs if kind in KINDS and value))


def receipt_line(kind: str, value: str) -> str:
    """One entry as it stands in the file.

    Raises:
        ValueError: The value has a line break, which a receipt cannot hold.
    """
    if "\n" in value or "\r" in value:
        raise ValueError(f"a line break in {value!r}")
    return f"{kind} {value}\n"
