"""The state directory as the use cases see it: every environment's folder, by project name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.core.names import task_of, task_project
from stackctl.core.records import LIVE
from stackctl.state import (
    data_copies,
    data_folders,
    documents,
    heartbeat,
    incident_files,
    layout,
    leases,
    locks,
    record_files,
    secret_files,
    task_files,
    trash,
)
from stackctl.state.atomic import sweep, write_atomic
from stackctl.state.failures import check_file_name, refused
from stackctl.state.folders import make_folder

if TYPE_CHECKING:
    from stackctl.core.deployment import Deployment
    from stackctl.core.records import EnvironmentRecord, Lease
    from stackctl.core.remote import Item
    from stackctl.core.stack import DataFolder, SecretSpec
    from stackctl.core.tasks import TaskLine
    from stackctl.state.home import Home

PLACEMENT_LOCK = "placement"
"""The lock under which ports and subnets are given out, for all environments of a state directory."""

LOGS = "logs"
OUTPUT = "output.log"
_PORT = "STACKCTL_PORT_"
_SUBNET = "STACKCTL_SUBNET"
_WITH_DATA = (layout.RECORD, documents.DOCUMENT, data_folders.DATA, secret_files.SECRETS)
_SWEPT = ("", secret_files.SECRETS, data_folders.DATA)


class FileStore:
    """The records and files below one state directory; satisfies the use cases' `Store`.

    Writing belongs under the environment's lock, whose name is its project.

    Args:
        home: The state directory, checked by `open_home`.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._recall = record_files.Recall()

    @property
    def home(self) -> Path:
        """Real path of the state directory."""
        return self._home.path

    @property
    def identity(self) -> str:
        """12 hex digits that tell this state directory from others, as on the labels."""
        return self._home.identity

    def folder(self, project: str) -> Path:
        """The folder of an environment or task, whether or not it is there.

        Raises:
            UsageError: This cannot be the name of a project.
        """
        name = record_files.check_project(project)
        task = task_of(name)
        return self._home.tasks / task if task else self._home.environments / name

    def _make(self, project: str) -> Path:
        folder = self.folder(project)
        make_folder(folder)
        return folder

    # Records

    def read(self, project: str) -> EnvironmentRecord | None:
        """The record of an environment, None when there is none; one that is damaged is kept as it is.

        Raises:
            StateError: It cannot be read, or a newer version wrote it.
        """
        return record_files.read_record(self.folder(project))

    def survey(self) -> record_files.Survey:
        """Every environment's and live task's record, and what could not be read, in one pass."""
        return self._tidied(record_files.survey(self._folders()))

    def recall(self) -> record_files.Survey:
        """As `survey`, for who asks every second: only what changed is read again."""
        return self._tidied(self._recall.survey(self._folders()))

    def _tidied(self, found: record_files.Survey) -> record_files.Survey:
        """What was found, and no mark left of tasks that ended a while ago."""
        for record in found.records:
            task_files.unmark_old(self._home.live_tasks, record)
        return found

    def _folders(self) -> Iterator[Path]:
        yield from record_files.environment_folders(self._home.environments)
        yield from task_files.marked(self._home.live_tasks, self._home.tasks)

    def records(self) -> Iterator[EnvironmentRecord]:
        """Every record that can be read, by project name."""
        yield from self.survey().records

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Project and reason of every record that cannot be read."""
        return self.survey().unreadable

    def write(self, record: EnvironmentRecord) -> None:
        """Write a record durably; a damaged one in its place is set aside.

        Raises:
            StateError: A newer version wrote the present one, or the file system refused.
        """
        folder, task = self._make(record.project), record.task
        if task is not None and record.phase in LIVE:
            task_files.mark(self._home.live_tasks, task.id)
        record_files.write_record(folder, record)
        if task is not None and record.phase not in LIVE:
            task_files.note_finished(self._home.tasks, record)

    # Tasks

    def finished_tasks(self) -> tuple[TaskLine, ...]:
        """A line for each task that ended a while ago, the oldest first; the others are among `records`.

        Raises:
            StateError: They cannot be listed.
        """
        return task_files.finished(self._home.tasks, self._home.live_tasks)

    def task_ids(self) -> frozenset[str]:
        """The ids of all tasks, live and ended.

        Raises:
            StateError: They cannot be listed.
        """
        return task_files.ids(self._home.tasks)

    def forget_task(self, task: str) -> None:
        """Remove what a task that has ended left, its record too; where it has data, what that needs stays.

        That is its record, which names it, and the document, whose images can delete what others own.

        Raises:
            StateError: The file system refused.
        """
        folder = self.folder(task_project(task))
        if data_folders.has_data(folder):
            trash.forget(folder, keep=_WITH_DATA)
        else:
            trash.purge(folder, self._home.trash)
        task_files.unmark(self._home.live_tasks, task)

    def tidy_tasks(self) -> None:
        """Leave out of the index of ended tasks what was forgotten."""
        task_files.rewrite_index(self._home.tasks)

    def quarantine(self, project: str) -> Path | None:
        """Set a record aside as `record.json.corrupt-<n>`; its new path, None when there was none."""
        return record_files.set_aside(self.folder(project))

    def remove_record(self, project: str) -> None:
        """Forget an environment; its data and everything else stays."""
        path = self.folder(project) / layout.RECORD
        with refused("remove", path):
            path.unlink(missing_ok=True)

    def owned_ports(self, except_project: str = "") -> Mapping[int, str]:
        """Host port -> project of every port that another environment owns, running or stopped."""
        return {
            port: record.project
            for record in self.records()
            if record.project != except_project
            for port in (*_numbers(record.placement), *record.ports)
        }

    def owned_subnets(self, except_project: str = "") -> Mapping[str, str]:
        """Subnet -> project of every subnet that another environment owns, running or stopped."""
        return {
            value: record.project
            for record in self.records()
            if record.project != except_project
            for name, value in record.placement.items()
            if name.startswith(_SUBNET) and value
        }

    # Locks and leases

    @contextmanager
    def lock(self, name: str, *, command: str, wait: float = 10.0) -> Iterator[None]:
        """Hold a lock: an environment's by its project, or one of stackctl's own by its name.

        What a killed writer left in the environment's folder is swept, since nobody else writes there.

        Raises:
            Busy: Another process held it for `wait` seconds.
            StateError: The lock file cannot be used.
        """
        folder, file = self._lock_place(name)
        with locks.lock(folder, file, command=command, wait=wait):
            for below in _SWEPT:
                sweep((folder if task_of(name) else self._home.environments / name) / below)
            yield

    def _lock_place(self, name: str) -> tuple[Path, str]:
        """Where a lock's file is: a task has its own with it, so that thousands leave none behind."""
        if not task_of(name):
            return self._home.locks, name
        return self._make(name), task_files.LOCK

    def lease(self, command: str) -> Lease:
        """A lease of this process."""
        return leases.lease(command)

    def lease_alive(self, lease: Lease) -> bool | None:
        """Whether a lease's process lives; False only if proven, None when nothing proves either."""
        return leases.alive(lease)

    # Documents, secrets, logs

    def deployment(self, project: str) -> Deployment | None:
        """What compose was last driven with, None when there is no document."""
        found = documents.deployment(self.folder(project))
        return found if found.document.is_file() and found.placement.is_file() else None

    def write_document(self, project: str, compose_text: str, placement_text: str) -> Deployment:
        """Write `compose.yaml` and `placement.env`; see `documents.write_document`."""
        return documents.write_document(self._make(project), compose_text, placement_text)

    def write_swarm_document(self, project: str, text: str) -> Path:
        """Write `swarm.yaml`; see `documents.write_swarm_document`."""
        return documents.write_swarm_document(self._make(project), text)

    def write_files(self, project: str, files: Mapping[str, str]) -> tuple[str, ...]:
        """Make the `files/` tree what was rendered; the changed paths. See `documents.write_files`."""
        return documents.write_files(self._make(project), files)

    def ensure_secrets(
        self,
        project: str,
        specs: Sequence[SecretSpec],
        reader: secret_files.Reader = secret_files.read_user_file,
    ) -> Mapping[str, str]:
        """Make sure that every secret has its file; name -> secret. See `secret_files.ensure_secrets`."""
        return secret_files.ensure_secrets(self._make(project), specs, reader)

    def write_secret_text(self, project: str, name: str, text: str) -> Path:
        """Write a text with a secret in it; see `secret_files.write_secret_text`."""
        return secret_files.write_secret_text(self._make(project), name, text)

    def parcel(self, project: str, given: Mapping[str, Path]) -> tuple[Item, ...]:
        """What of an environment's files belongs on another machine's engine; see `parcel`.

        Args:
            given: Path there -> the user's own file here.
        """
        from stackctl.state import parcel

        return (*parcel.parcel(self.folder(project)), *parcel.given(given))

    def secret(self, project: str, name: str) -> str:
        """A stored secret.

        Raises:
            StateError: It is gone, or cannot be read.
        """
        return secret_files.read_secret(self.folder(project), name)

    def secret_stamp(self, project: str, name: str) -> str:
        """What changes when a secret's file is replaced; see `secret_files.secret_stamp`."""
        return secret_files.secret_stamp(self.folder(project), name)

    def write_log(self, project: str, name: str, text: str) -> Path:
        """Keep a text, such as a service's last log lines, as `logs/<name>.log`."""
        folder = self._make(project) / LOGS
        make_folder(folder)
        path = folder / check_file_name(f"{name}.log", "file")
        write_atomic(path, text.encode(errors="backslashreplace"))
        return path

    def write_output(self, project: str, data: bytes) -> None:
        """Keep what a task wrote, as `output.log`.

        Raises:
            StateError: The file system refused.
        """
        write_atomic(self._make(project) / OUTPUT, data)

    def output_tail(self, project: str, size: int) -> bytes:
        """The last bytes of what a task wrote; empty where nothing was kept."""
        return task_files.tail(self.folder(project) / OUTPUT, size)

    def write_spec(self, project: str, plain: Mapping[str, Any]) -> None:
        """Keep what a task was asked to be until it is started, mode 0600.

        Raises:
            StateError: The file system refused.
        """
        task_files.write_spec(self._make(project), plain)

    def read_spec(self, project: str) -> Any:
        """What a task was asked to be, as plain data; None where that is not kept.

        Raises:
            StateError: It cannot be read.
        """
        return task_files.read_spec(self.folder(project))

    def remove_spec(self, project: str) -> None:
        """Forget what a task was asked to be; it may have had secrets in its variables."""
        task_files.remove_spec(self.folder(project))

    def wish_end(self, project: str, reason: str) -> None:
        """Ask whoever starts a task, and so has its lock, to end it instead.

        Raises:
            StateError: The file system refused.
        """
        task_files.wish_end(self.folder(project), reason)

    def end_wished(self, project: str) -> str:
        """Why a task that is started is to be ended instead; empty where nobody asked."""
        return task_files.end_wished(self.folder(project))

    def write_past(self, holder: str, tasks: Sequence[str]) -> None:
        """Remember which tasks a holder had before it began anew.

        Raises:
            StateError: The file system refused.
        """
        task_files.write_past(self._home.path, holder, tasks)

    def past(self, holder: str) -> frozenset[str]:
        """The ids of tasks that a holder had before it began anew.

        Raises:
            StateError: They cannot be read.
        """
        return task_files.past(self._home.path, holder)

    # The supervisor's

    def write_incident(self, project: str, name: str, plain: dict[str, Any]) -> Path:
        """Write an incident of an environment, of the host where `project` is empty."""
        folder = self._make(project) if project else self._home.path / heartbeat.FOLDER
        return incident_files.write_incident(folder, name, plain)

    def incidents(self, project: str) -> tuple[Any, ...]:
        """The data of an environment's incidents, the host's where `project` is empty, the oldest first."""
        folder = self.folder(project) if project else self._home.path / heartbeat.FOLDER
        return incident_files.read_incidents(folder)

    def beat(self, plain: Mapping[str, Any]) -> None:
        """Replace the supervisor's heartbeat; see `heartbeat.beat`."""
        heartbeat.beat(self._home.path, plain)

    def heartbeat(self) -> Mapping[str, Any] | None:
        """The supervisor's last heartbeat, None when there is none."""
        return heartbeat.read_beat(self._home.path)

    def lock_holder(self, name: str) -> Lease | None:
        """Who holds a lock now, None when nobody does; a holder that wrote no name has an empty command."""
        return locks.holder(*self._lock_place(name))

    def write_peaks(self, project: str, plain: Mapping[str, Any]) -> None:
        """Keep the most that each service of an environment used; see `heartbeat.write_peaks`."""
        heartbeat.write_peaks(self.folder(project), plain)

    def peaks(self, project: str) -> Mapping[str, Any]:
        """The most that each service of an environment used: service -> pids, memory in bytes."""
        return heartbeat.read_peaks(self.folder(project))

    # Data

    def ensure_data(
        self, project: str, folders: Sequence[DataFolder], owner: tuple[int, int]
    ) -> tuple[str, ...]:
        """Make sure that the data folders are there; warnings. See `data_folders.ensure_data`."""
        return data_folders.ensure_data(self._make(project), folders, owner)

    def has_data(self, project: str) -> bool:
        """Whether any data folder of an environment has anything in it."""
        return data_folders.has_data(self.folder(project))

    def data_size(self, project: str) -> int:
        """Bytes that an environment's data takes on disk, as far as it can be seen."""
        return data_folders.data_size(self.folder(project))

    def move_data(self, old_project: str, new_project: str) -> None:
        """Take data and secrets from one environment to another; see `data_folders.move_data`."""
        data_folders.move_data(self.folder(old_project), self._make(new_project))

    def copy_data(self, source: Path, project: str, names: Sequence[str]) -> None:
        """Give an environment a copy of data and its secrets; see `data_copies.copy_data`."""
        data_copies.copy_data(source, self._make(project), names)

    def purge(self, project: str) -> None:
        """Delete an environment's folder with all its data; see `trash.purge`."""
        trash.purge(self.folder(project), self._home.trash)
        if task := task_of(project):
            task_files.unmark(self._home.live_tasks, task)

    def trash_left(self, project: str) -> Path | None:
        """What a purge could not delete, None when all of it is gone."""
        return trash.trash_left(self.folder(project).name, self._home.trash)


def _numbers(placement: Mapping[str, str]) -> Iterator[int]:
    for name, value in placement.items():
        if name.startswith(_PORT) and value.isdecimal():
            yield int(value)
