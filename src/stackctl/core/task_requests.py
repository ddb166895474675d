"""Reads what a program asks for as a task: the keys of a batch's tasks, with every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.core.batchfile import SHARED, read_parts
from stackctl.core.documents import Loaded
from stackctl.core.fields import Fields, Report, text
from stackctl.core.names import check_name
from stackctl.core.tasks import TaskSpec

SOURCE = "the task"


def read_request(raw: Mapping[str, Any]) -> TaskSpec:
    """Read a task from plain data: text, numbers, lists and mappings.

    Args:
        raw: `image`, and what else a task of a batch may have, but no `key`.

    Raises:
        StackFileError: With every problem, each with its path.
    """
    report = Report(Loaded(data=raw, source=SOURCE, lines={}))
    sheet = Fields(report, raw, "", ("name", *SHARED))
    if "image" not in sheet:
        sheet.lacking("the task needs an `image`")
    name = sheet.read("name", lambda word: check_name(text(word), "task"), "")
    parts = {"image": "", **read_parts(sheet)}
    report.finish()
    return TaskSpec(name=name, source=SOURCE, **parts)
