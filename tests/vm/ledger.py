"""Rows that PostgreSQL committed and files that were synced, as the guest said; is it all still there?"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from guest import say
from guest_command import STILL, GuestCommand

PSQL = "psql -U app -d app -tAq"
FILE_BYTES = 6000
LOAD = f"""
import os, subprocess, sys, time
container, folder, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
psql = ["docker", "exec", "-i", container, *"{PSQL}".split()]
database = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
directory = os.open(folder, os.O_RDONLY)
while True:
    print(f"insert into ledger values ({{number}}) returning x;", file=database.stdin, flush=True)
    if database.stdout.readline().strip() == str(number):
        print("row", number, flush=True)
    with open(f"{{folder}}/{{number}}", "wb") as file:
        file.write((b"%d " % number * {FILE_BYTES})[:{FILE_BYTES}])
        file.flush()
        os.fsync(file.fileno())
    os.fsync(directory)
    print("file", number, flush=True)
    number += 1
    time.sleep(0.1)
"""
"""Runs in the guest: says of each row and file that it is safe, once it is."""


def content(number: int) -> bytes:
    return (b"%d " % number * FILE_BYTES)[:FILE_BYTES]


@dataclass
class Ledger:
    """The environment `data`: a database, a data folder, and what was acknowledged in each."""

    command: GuestCommand
    project: str = ""
    rows: set[int] = field(default_factory=set)
    files: set[int] = field(default_factory=set)
    _next: int = 1

    @property
    def folder(self) -> str:
        return f"{self.command.home}/environments/{self.project}/data/notes"

    def prepare(self) -> None:
        service = {"command": ["sh", "-c", STILL], "volumes": ["./data/notes:/notes"]}
        database = {"template": "postgres", "variables": {"version": "15"}}
        self.command.stack("data", {"web": service}, data={"notes": {"uid": 1000}}, sidecars={"db": database})
        self.bring_up()
        self.project = self.command.status("data")["project"]
        self.ask("create table ledger(x int primary key)")
        self.command.guest.put("/srv/load.py", LOAD)
        with self.growing():
            self.command.guest.until(f"test -e {self.folder}/3", 120)

    def bring_up(self) -> None:
        self.command.up("data")

    def database(self) -> str:
        return f"$(docker ps -q {self.command.label} --filter name=-db-)"

    def ask(self, statement: str) -> str:
        """What the database answers."""
        return self.command.guest.run(f'docker exec {self.database()} {PSQL} -c "{statement}"').ok().out

    @contextlib.contextmanager
    def growing(self) -> Iterator[None]:
        """Rows and files are added, each noted when it is acknowledged, until the block ends."""
        before = len(self.rows)
        line = f"python3 /srv/load.py {self.database()} {self.folder} {self._next}"
        with tempfile.TemporaryFile("w+") as told, self.command.guest.running(line, told) as client:
            try:
                self.command.guest.until(f"test -e {self.folder}/{self._next}", 120)
                yield
            finally:
                client.kill()
                client.wait(timeout=30)
                told.seek(0)
                self._note(told.read())
        assert len(self.rows) > before, "no row was acknowledged"

    def _note(self, told: str) -> None:
        for line in told.rpartition("\n")[0].splitlines():
            kind, number = line.split()
            (self.rows if kind == "row" else self.files).add(int(number))
        # What was under way may be there or not; it is not tried again
        self._next = max({*self.rows, *self.files, self._next}) + 2
        say(f"{len(self.rows)} rows and {len(self.files)} files acknowledged so far")

    def check(self) -> None:
        """Every acknowledged row and file is there, and whole; the environment runs."""
        assert self.rows <= {int(row) for row in self.ask("select x from ledger").split()}
        sums = self.command.guest.run(f"cd {self.folder} && sha256sum *").ok().out.splitlines()
        found = {int(line.split()[1]): line.split()[0] for line in sums}
        assert {number: found.get(number) for number in self.files} == {
            number: hashlib.sha256(content(number)).hexdigest() for number in self.files
        }
