"""Records as each released schema wrote them: this version reads them all, and refuses what is newer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackctl.core.errors import StateError
from stackctl.core.records import SCHEMA
from stackctl.state import layout, record_files

GOLDEN = Path(__file__).parent / "golden"


def folder(tmp_path: Path, schema: int) -> Path:
    text = (GOLDEN / f"record-schema-{schema}.json").read_text()
    made = tmp_path / json.loads(text)["project"]
    made.mkdir()
    (made / layout.RECORD).write_text(text)
    return made


@pytest.mark.parametrize("schema", range(1, SCHEMA))
def test_every_older_schema_is_read_and_written_back_as_the_present_one(tmp_path: Path, schema: int) -> None:
    made = folder(tmp_path, schema)
    record = record_files.read_record(made)
    assert record is not None
    assert (record.stack, record.phase, record.lifetime) == ("myenv", "running", 28800.0)
    assert (record.aim, record.attempts, record.restarts, record.halted) == ("stopped", 0, {}, ())
    assert record.services["web"].watchdog["urgent_pids"] == 245
    record_files.write_record(made, record)
    assert json.loads((made / layout.RECORD).read_text())["schema"] == SCHEMA
    assert record_files.read_record(made) == record


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    made = folder(tmp_path, 1)
    path = made / layout.RECORD
    raw = {**json.loads(path.read_text()), "schema": SCHEMA + 1}
    path.write_text(json.dumps(raw))
    with pytest.raises(StateError, match="a newer stackctl wrote"):
        record_files.read_record(made)
    before = path.read_bytes()
    older = record_files.decode((GOLDEN / "record-schema-1.json").read_bytes())
    with pytest.raises(StateError, match="a newer stackctl wrote"):
        record_files.write_record(made, older)
    assert path.read_bytes() == before


def test_recall_reads_again_only_what_changed(tmp_path: Path) -> None:
    made = folder(tmp_path, 1)
    recall = record_files.Recall()
    (first,) = recall.survey(record_files.environment_folders(tmp_path)).records
    (second,) = recall.survey(record_files.environment_folders(tmp_path)).records
    assert second is first
    record_files.write_record(made, first)
    (third,) = recall.survey(record_files.environment_folders(tmp_path)).records
    assert third is not first
    assert third == first
    (made / layout.RECORD).write_text("{")
    damaged = recall.survey(record_files.environment_folders(tmp_path))
    assert damaged.unreadable == ((made.name, "it is no JSON"),)
    (made / layout.RECORD).unlink()
    assert recall.survey(record_files.environment_folders(tmp_path)) == record_files.Survey((), ())
