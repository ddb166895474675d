"""The log: whole lines whatever they quote, bounded in size, and no disk can stop who writes it."""

import io
import json
import os
import re
import stat
from itertools import count
from pathlib import Path

import pytest

from stackctl.core.errors import StateError
from stackctl.state import journal
from stackctl.state.journal import Journal, append_line, journal_path, tail

MOMENT = 1_769_868_131.25
HOSTILE = [
    "web\n2026-01-31T14:02:11.250Z killed environment=all",
    "a\rb\x00\x07\x1b[2Jc\x7f\x85d",
    "e\u2028f\u2029g\u202eh\u200b",
    'quote " backslash \\ equals = space',
    "surrogate \udcff",
    "",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path)


def test_a_line_of_text(path: Path) -> None:
    log = Journal(path, now=lambda: MOMENT)
    log.write("killed", environment="web-0482da", pids=231, share=0.80001, reason="over pids", by=("a", "b"))
    assert path.read_text() == (
        "2026-01-31T14:02:11.250Z killed environment=web-0482da pids=231 share=0.8 "
        'reason="over pids" by=["a", "b"]\n'
    )


def test_a_line_of_json(path: Path) -> None:
    log = Journal(path, form="json", now=lambda: MOMENT)
    log.write("killed", environment="web", limit=None, peak=float("inf"), of={"pid": 7}, path=Path("/x"))
    assert json.loads(path.read_text()) == {
        "time": "2026-01-31T14:02:11.250Z",
        "event": "killed",
        "environment": "web",
        "limit": None,
        "peak": "inf",
        "of": {"pid": 7},
        "path": "/x",
    }


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("value", HOSTILE)
def test_what_is_quoted_cannot_break_a_line(path: Path, form, value: str) -> None:
    echo = io.StringIO()
    log = Journal(path, form=form, echo=echo)
    log.write("stopped", reason=value, inside=[value, {value: value}], after="end")
    text = path.read_text()
    assert echo.getvalue() == text
    assert text.endswith("\n")
    assert all(one.isprintable() for one in text[:-1])
    assert len(text.splitlines()) == 1
    if form == "json":
        assert json.loads(text)["reason"] == value
    else:
        quoted = re.search(r'reason=("(?:[^"\\]|\\.)*") inside=', text)
        assert quoted is not None
        assert json.loads(quoted[1]) == value
        assert text.endswith(" after=end\n")


def test_a_field_cannot_pass_for_the_time_or_the_event(path: Path) -> None:
    for form in ("text", "json"):
        Journal(path, form=form, now=lambda: MOMENT).write("stopped", time="never", event="killed")
    assert "never" not in path.read_text()
    assert "killed" not in path.read_text()


def test_a_long_value_is_cut(path: Path) -> None:
    Journal(path, form="json").write("stopped", reason="x" * 1_000_000)
    reason = json.loads(path.read_text())["reason"]
    assert reason.endswith("x...")
    assert len(reason) == journal.LONGEST_VALUE


def test_only_the_owner_may_read_it(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(0o644)
    path.chmod(0o644)
    Journal(path).write("started")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    Journal(path).write("started")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_folder_is_made_for_the_owner_alone(path: Path) -> None:
    Journal(path).write("started")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_grows_to_three_files_and_no_further(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(journal, "FILE_SIZE", 4096)
    log = Journal(path)
    for number in range(1000):
        log.write("stopped", number=number)
    assert sorted(one.name for one in path.parent.iterdir()) == [
        path.name,
        f"{path.name}.1",
        f"{path.name}.2",
    ]
    assert all(one.stat().st_size <= 4096 for one in path.parent.iterdir())
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in path.parent.iterdir())
    numbers = [int(line.rpartition("=")[2]) for line in tail(path, 100_000)]
    assert numbers == list(range(numbers[0], 1000))
    assert len(numbers) > 100
    assert tail(path, 3) == tail(path, 100_000)[-3:]
    assert tail(path, 150)[0].endswith("number=850")


def test_the_end_of_no_log_is_nothing(path: Path) -> None:
    assert tail(path, 10) == []
    Journal(path).write("started")
    assert tail(path, 0) == []
    assert len(tail(path, 10)) == 1


def test_half_a_line_of_one_who_was_killed_stays_by_itself(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"2026-01-31T14:02:11.250Z stopp")
    Journal(path, now=lambda: MOMENT).write("started")
    assert tail(path, 9) == ["2026-01-31T14:02:11.250Z stopp", "2026-01-31T14:02:11.250Z started"]


def test_half_a_line_is_ended_before_the_next_file_begins(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(journal, "FILE_SIZE", 10)
    path.parent.mkdir()
    path.write_text("half a line")
    append_line(path, "whole\n")
    assert path.with_name(f"{path.name}.1").read_text() == "half a line\n"
    assert path.read_text() == "whole\n"


def test_a_log_that_was_removed_begins_anew(path: Path) -> None:
    log = Journal(path)
    log.write("one")
    path.unlink()
    path.parent.rmdir()
    log.write("two")
    assert [line.split()[1] for line in tail(path, 9)] == ["two"]


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    path.parent.mkdir()
    path.symlink_to(victim)
    echo = io.StringIO()
    log = Journal(path, echo=echo)
    log.write("started")
    assert victim.read_text() == "precious\n"
    assert " log-failed " in echo.getvalue()
    assert log.lost == 1
    with pytest.raises(StateError):
        tail(path, 1)


@pytest.mark.parametrize("kind", ["fifo", "folder", "file for a folder"])
def test_nothing_in_its_place_can_stop_the_writer(path: Path, kind: str) -> None:
    if kind == "file for a folder":
        path.parent.touch()
    else:
        path.parent.mkdir()
        os.mkfifo(path) if kind == "fifo" else path.mkdir()
    echo = io.StringIO()
    log = Journal(path, echo=echo)
    log.write("one")
    log.write("two")
    assert [line.split()[1] for line in echo.getvalue().splitlines()] == ["one", "log-failed", "two"]
    assert log.lost == 2


FULL = """
import io, json, os
from pathlib import Path
from stackctl.state.journal import Journal, journal_path, tail
disk = Path(sys.argv[1])
path, echo = journal_path(disk), io.StringIO()
log = Journal(path, form="json", echo=echo)
log.write("before")
(disk / "fill").write_bytes(b"x" * (60 * 1024))
fill = os.open(disk / "fill", os.O_WRONLY | os.O_APPEND)
try:
    while True:
        os.write(fill, b"x" * 256)
except OSError:
    pass
for number in range(200):
    log.write("during", number=number)
lost = log.lost
os.ftruncate(fill, 0)
log.write("after")
print(json.dumps([lost, log.lost, echo.getvalue().splitlines(), tail(path, 1000)]))
"""


def test_a_full_disk_is_told_once_and_the_log_goes_on_when_there_is_room(on_small_disk) -> None:
    lost, left, echoed, lines = on_small_disk("size=64k", FULL)
    assert lost > 10
    assert left == 0
    failures = [line for line in echoed if "log-failed" in line]
    assert len(failures) == 1
    assert "no space left on device" in failures[0].lower()
    assert len(echoed) == 203
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    assert [one["event"] for one in (whole[0], *whole[-2:])] == ["before", "log-resumed", "after"]
    assert whole[-2]["lost"] == lost
    assert len([one for one in whole if one["event"] == "during"]) == 200 - lost


class Gone(io.StringIO):
    """A terminal that went away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_an_echo_that_went_away_does_not_stop_the_log(path: Path) -> None:
    closed = io.StringIO()
    closed.close()
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    for echo in (Gone(), closed, narrow):
        Journal(path, echo=echo).write("caf\u00e9", where="caf\u00e9")
    assert len(tail(path, 9)) == 3


def test_without_a_file_there_is_the_echo(tmp_path: Path) -> None:
    echo = io.StringIO()
    log = Journal(None, echo=echo, now=count(MOMENT).__next__)
    log.write("one")
    log.write("two")
    assert echo.getvalue() == "2026-01-31T14:02:11.250Z one\n2026-01-31T14:02:12.250Z two\n"
    assert log.lost == 0
