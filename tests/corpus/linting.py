"""compose-lint over every file before and after: `python -m corpus.linting DIR COMPOSE-LINT`.

Before is what Compose resolves a file to, after is the bounded document, so that both have the same services.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from corpus import candidates, checkouts
from corpus.candidates import Candidate
from corpus.judging import reader, values
from corpus.reading import repaired
from stackctl.core.documents import dump
from stackctl.core.errors import StackctlError
from stackctl.core.stack import Configuration, MachinePolicy
from stackctl.ops.bounding import look_at
from stackctl.ops.composing import sources_from_files

SEVERITIES = ("critical", "high", "medium", "low")
Findings = list[tuple[str, str, str]]
"""Each severity, rule, and what the rule is about."""


def lint(candidate: Candidate, scratch: Path, program: str) -> tuple[Findings, Findings] | None:
    """The findings before and after; None for a file that Compose refuses."""
    file = scratch / candidate.file
    read = repaired(file, scratch)
    if read.document is None:
        return None
    sources = sources_from_files([file])
    try:
        look = look_at(sources, reader(read), Configuration(), MachinePolicy())
    except StackctlError:
        return None
    bounded = look.text
    for name, value in values(look, str(sources.found.base)).items():
        bounded = bounded.replace(f"${{{name}:?}}", value)
    return _findings(file, dump(read.document), program), _findings(file, bounded, program)


def _findings(file: Path, text: str, program: str) -> Findings:
    folder = file.parent / f".lint-{file.name}"
    folder.mkdir(exist_ok=True)
    (folder / "compose.yaml").write_text(text)
    words = [
        program,
        "check",
        "--format",
        "json",
        "--no-env",
        "--no-merge-overrides",
        "--allow-partial-coverage",
    ]
    ended = subprocess.run([*words, "compose.yaml"], cwd=folder, capture_output=True, text=True, timeout=60)
    found = json.loads(ended.stdout or "{}").get("findings")
    if found is None:
        raise ValueError(f"{file}: {ended.stderr[-300:]}")
    return [(one["severity"], one["rule_id"], one["message"]) for one in found]


def main(corpus: Path, program: str) -> None:
    """Print the table of findings by severity and by rule."""
    found = candidates.find(corpus)
    with tempfile.TemporaryDirectory(prefix="stackctl-corpus-") as name:
        scratch = Path(name).resolve()
        checkouts.copy(corpus, sorted({one.checkout for one in found}), scratch)
        with Pool(3) as pool:
            pairs = [one for one in pool.map(partial(lint, scratch=scratch, program=program), found) if one]
    before, after = ([one for pair in pairs for one in pair[side]] for side in (0, 1))
    print(f"{len(pairs)} files")
    counts = [Counter(severity for severity, _, _ in side) for side in (before, after)]
    for severity in SEVERITIES:
        print(f"| {severity} | {counts[0][severity]} | {counts[1][severity]} |")
    rules = [Counter((rule, severity) for severity, rule, _ in side) for side in (before, after)]
    examples = {rule: message for _, rule, message in [*after, *before]}
    for rule, severity in sorted({*rules[0], *rules[1]}):
        key = (rule, severity)
        print(f"| {rule} | {severity} | {examples[rule][:90]} | {rules[0][key]} | {rules[1][key]} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
