"""What came of all files, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.judging import Verdict, refused_for


def report(verdicts: Sequence[Verdict]) -> str:
    """The table, in Markdown."""
    refused = [one for one in verdicts if one.refused_by_compose]
    taken = [one for one in verdicts if not one.refused_by_compose]
    rows: list[tuple[str, object]] = [
        ("compose files", len(verdicts)),
        ("refused by Compose itself", len(refused)),
        ("… of which our error names the same place", len([one for one in refused if not one.failures])),
        ("accepted by Compose", len(taken)),
        ("… with a required variable given a value", len([one for one in taken if one.variables])),
        ("… with a missing env file made empty", len([one for one in taken if one.created])),
        ("bounded document accepted by Compose", len([one for one in taken if one.accepted])),
        ("canonical form equal apart from what is laid over", len([one for one in taken if one.equal])),
        ("services", sum(one.services for one in taken)),
        ("bounded in pids, memory, swap, cpus and lifetime", sum(one.bounded for one in taken)),
        ("files that policy refuses something of", len([one for one in taken if one.words])),
        ("files with a failure", len([one for one in verdicts if one.failures])),
    ]
    table = ["| what | number |", "| --- | ---: |", *(f"| {what} | {number} |" for what, number in rows)]
    why = refused_for(taken)
    table += ["", "| refused without `allow:`, or altogether, for | files |", "| --- | ---: |"]
    table += [f"| {_word(word)} | {number} |" for word, number in why.items()]
    return "\n".join(table)


def _word(word: str) -> str:
    return word if " " in word else f"`{word}`"
