"""The other way, measured: an override file beside the original, in place of the resolved document.

`python -m corpus.overriding DIR` writes what stackctl lays over each file as a second compose file, once as
plain YAML and once with `!override` and `!reset`, and counts what Compose makes of both.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import yaml

from corpus import candidates, checkouts
from corpus.candidates import Candidate
from corpus.comparing import differences
from corpus.judging import last_line, reader, values
from corpus.laid_over import Run, bounds_missing, expected
from corpus.reading import Read, config, repaired
from stackctl.core.documents import dump
from stackctl.core.errors import StackctlError
from stackctl.core.stack import Configuration, MachinePolicy
from stackctl.ops.bounding import Look, look_at
from stackctl.ops.composing import sources_from_files

LAID = (
    *("init", "restart", "logging", "security_opt", "labels", "pids_limit", "mem_limit", "memswap_limit"),
    *("cpus", "deploy", "ports", "networks"),
)
REPLACED = ("logging", "security_opt", "deploy", "ports", "networks")
REMOVED = ("container_name", "cpu_quota", "cpu_period", "deploy", "extends")


class _Tagged(yaml.SafeDumper):
    """Writes `(tag, value)` as a value with a tag."""


def _tagged(dumper: Any, pair: tuple[str, Any]) -> Any:
    node = dumper.represent_data(pair[1])
    node.tag = pair[0]
    return node


_Tagged.add_representer(tuple, _tagged)


def override(look: Look, *, tags: bool) -> str:
    """What is laid over a file, as a compose file of its own."""
    services: dict[str, Any] = {}
    for name, bounded in look.bounded.document["services"].items():
        laid = {key: bounded[key] for key in LAID if key in bounded}
        if tags:
            laid = {key: ("!override", one) if key in REPLACED else one for key, one in laid.items()}
            gone = [key for key in REMOVED if key in look.original["services"][name] and key not in bounded]
            laid |= dict.fromkeys(gone, ("!reset", None))
        services[name] = laid
    beside = {
        key: look.bounded.document[key] for key in ("networks", "volumes") if key in look.bounded.document
    }
    document = {"services": services, **beside}
    return yaml.dump(document, Dumper=_Tagged) if tags else dump(document)


def measure(candidate: Candidate, scratch: Path) -> list[tuple[str, str]]:
    """What became of one file in both ways: (way, outcome); nothing where Compose refuses the file."""
    file = scratch / candidate.file
    read = repaired(file, scratch)
    if read.document is None:
        return []
    sources = sources_from_files([file])
    try:
        look = look_at(sources, reader(read), Configuration(), MachinePolicy())
    except StackctlError as error:
        return [("plain", str(error)), ("tags", str(error))]
    run = Run(sources.stack.name, look.needed)
    wanted = expected(read.document, run)
    found = []
    for way in ("plain", "tags"):
        over = file.parent / f".{way}-{file.name}"
        over.write_text(override(look, tags=way == "tags"))
        given = {**read.variables, **values(look, str(sources.found.base))}
        found.append((way, _outcome(config([file, over], file.parent, given), wanted)))
    return found


def _outcome(read: Read, wanted: Mapping[str, Any]) -> str:
    if read.document is None:
        said = last_line(read.said)
        return "refused: " + (
            "conflicts with what is included" if "conflicts with imported" in said else said[-60:]
        )
    services = read.document.get("services") or {}
    if any(bounds_missing(one) for one in services.values()):
        return "a limit is missing"
    open_ports = [
        port for one in services.values() for port in one.get("ports") or [] if not port.get("host_ip")
    ]
    if open_ports:
        return "a port is open to other machines"
    wrong = next(iter(differences(wanted, read.document)), None)
    return f"differs in {wrong[0].split('.')[-1].split('[')[0]}" if wrong else "equal and bounded"


def main(corpus: Path) -> None:
    """Print the counts of both ways."""
    found = candidates.find(corpus)
    with tempfile.TemporaryDirectory(prefix="stackctl-corpus-") as name:
        scratch = Path(name).resolve()
        checkouts.copy(corpus, sorted({one.checkout for one in found}), scratch)
        with Pool(3) as pool:
            outcomes = pool.map(partial(measure, scratch=scratch), found, chunksize=4)
    for way in ("plain", "tags"):
        counts = Counter(text for one in outcomes for which, text in one if which == way)
        print(f"\n{way}: {sum(counts.values())} files")
        for text, number in counts.most_common():
            print(f"{number:5d}  {text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
