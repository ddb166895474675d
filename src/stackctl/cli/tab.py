"""A press of TAB: the words that a shell asks for, found without click, which takes longer to load.

Words are answered from tables, file names and records. Whatever goes wrong, the answer is no words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from stackctl.cli.candidates import REPEATING, VALUES, WORDS, Word
from stackctl.cli.commands import COMMANDS
from stackctl.cli.typed import Typed, read_words

VARIABLE = "_STACKCTL_COMPLETE"


def answer(environ: Mapping[str, str]) -> int:
    """Print the words that a shell asks for (`_STACKCTL_COMPLETE=bash_complete`); 0 whatever happens.

    Args:
        environ: Has the instruction in VARIABLE, and the words to complete beside it.
    """
    with suppress(Exception):
        shell = environ[VARIABLE].partition("_")[0]
        show = _SHOWN[shell]
        lines = "\n".join(show(word) for word in words_for(*_asked(shell, environ)))
        sys.stdout.buffer.write(os.fsencode(f"{lines}\n"))
        sys.stdout.buffer.flush()
    return 0


def words_for(before: Sequence[str], begun: str) -> list[Word]:
    """Every word that may stand next.

    Args:
        before: The words before it, the program left out.
        begun: What is there of it.
    """
    typed = read_words(before)
    if begun.startswith("-") and not typed.ended:
        name, sign, value = begun.partition("=")
        if not sign:
            return _beginning(begun, _options(typed))
        typed.take_option(name)
        return _values(typed, value) if typed.pending else []
    if typed.pending:
        return _values(typed, "" if begun == "=" else begun)
    return _beginning(begun, _arguments(typed))


def _asked(shell: str, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """The words before the one to complete, and what is there of that one."""
    words, place = _split(environ["COMP_WORDS"]), environ["COMP_CWORD"]
    if shell == "fish":  # it says the last word, which stands among the words as well
        begun = _split(place)[0] if place else ""
        return words[1:-1] if begun and words[-1] == begun else words[1:], begun
    number = int(place)
    return words[1:number], words[number] if number < len(words) else ""


def _split(text: str) -> list[str]:
    """Words as a shell reads them; a quote that is still open ends with the text."""
    import shlex

    reader = shlex.shlex(text, posix=True)
    reader.whitespace_split, reader.commenters = True, ""
    words: list[str] = []
    try:
        for word in reader:
            words.append(word)  # noqa: PERF402 -- those before the open quote count
    except ValueError:
        words.append(reader.token)
    return words


def _beginning(begun: str, words: Iterable[Word]) -> list[Word]:
    return [word for word in words if word.value.startswith(begun)]


def _options(typed: Typed) -> Iterable[Word]:
    for row in typed.rows:
        if "hidden" not in row and ("again" in row or row["for"] not in typed.given):
            yield from (Word(name, row["help"]) for name in row["names"])


def _values(typed: Typed, begun: str) -> list[Word]:
    if typed.pending in VALUES:
        return _beginning(begun, VALUES[typed.pending](typed))
    row = typed.row(typed.pending)
    value = row["value"] if row else ""
    if isinstance(value, str):
        return [Word(begun, kind=value)] if value else []
    return _beginning(begun, map(Word, value))


def _arguments(typed: Typed) -> Iterable[Word]:
    if not typed.words:
        return [Word(name, about) for name, (_, about) in COMMANDS.items()]
    name, *given = typed.words
    sources = WORDS.get(name, ())
    if len(given) < len(sources):
        return sources[len(given)](typed)
    return sources[-1](typed) if sources and name in REPEATING else ()


def _for_bash(word: Word) -> str:
    return f"{word.kind},{word.value}"


def _for_zsh(word: Word) -> str:
    """Three lines; without a help text the script takes the word as it is, with one it splits at a colon."""
    value = word.value.replace(":", r"\:") if word.about else word.value
    return f"{word.kind}\n{value}\n{word.about or '_'}"


def _for_fish(word: Word) -> str:
    about = word.about.replace("\n", "\\n").replace("\t", " ")
    return f"{word.kind},{word.value}\t{about}" if about else f"{word.kind},{word.value}"


_SHOWN: Mapping[str, Callable[[Word], str]] = {"bash": _for_bash, "zsh": _for_zsh, "fish": _for_fish}
"""As the scripts read it that click has for zsh and fish, and we for bash."""
