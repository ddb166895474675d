"""Points 15 to 23 of docs/installers.md: nothing that surprises."""

from __future__ import annotations

import itertools
import os
import pty
import random
import subprocess
from pathlib import Path

import pytest
from installer import Machine, served, shell_words, tree

BLOCK = "# >>> stackctl"


@pytest.mark.slow
def test_point_15_nothing_asks_for_more_rights_or_touches_docker(machine: Machine, small: Path) -> None:
    for name in ("sudo", "su", "doas", "pkexec", "docker", "apt-get", "systemctl", "chown"):
        machine.stand_in(name)
    assert machine.install(small, "--modify-path").returncode == 0
    assert machine.install(small, "--uninstall").returncode == 0
    assert machine.calls == []


@pytest.mark.slow
def test_point_15_root_is_only_warned(machine: Machine, small: Path) -> None:
    machine.stand_in("id", 'if [ "$1" = -un ]; then echo root; else echo 0; fi')
    done = machine.install(small)
    assert (done.returncode, "this is root" in done.stderr) == (0, True)


class TestPoint16:
    @pytest.mark.parametrize("way", ["options", "joined", "environment"])
    def test_point_16_folders_are_where_they_were_said(self, machine: Machine, small: Path, way: str) -> None:
        prefix, folder = machine.home / "a b" / "it's", machine.home / "my bin"
        options = {
            "options": ["--prefix", str(prefix), "--bin-dir", str(folder)],
            "joined": [f"--prefix={prefix}", f"--bin-dir={folder}/"],
            "environment": [],
        }[way]
        environ = {"STACKCTL_INSTALL_DIR": str(prefix), "STACKCTL_BIN_DIR": str(folder)}
        done = machine.install(small, "--dry-run", *options, env=environ if way == "environment" else {})
        assert done.returncode == 0
        assert f"make {prefix}/versions/1.0.0 with" in done.stderr
        assert f"link {folder}/stackctl to it" in done.stderr

    def test_point_16_a_relative_folder_is_below_the_working_one(self, machine: Machine, small: Path) -> None:
        done = machine.install(small, "--dry-run", "--prefix", "here/a b")
        assert f"make {machine.work}/here/a b/versions/1.0.0" in done.stderr

    def test_point_16_xdg_is_honoured(self, machine: Machine, small: Path) -> None:
        done = machine.install(small, "--dry-run", env={"XDG_DATA_HOME": str(machine.home / "data")})
        assert f"make {machine.home}/data/stackctl/versions" in done.stderr

    def test_point_16_without_home_the_user_database_says_it(self, machine: Machine, small: Path) -> None:
        machine.stand_in("getent", f"echo 'me:x:1:1:Me:{machine.home}:/bin/sh'")
        done = machine.install(small, "--dry-run", env={"HOME": None})
        assert f"make {machine.prefix}/versions" in done.stderr

    def test_point_16_without_any_home_it_asks_for_the_folders(self, machine: Machine, small: Path) -> None:
        machine.stand_in("getent", "exit 2")
        done = machine.install(small, env={"HOME": None})
        assert (done.returncode, "--prefix and --bin-dir" in done.stderr) == (2, True)
        given = ["--prefix", str(machine.work / "p"), "--bin-dir", str(machine.work / "b")]
        assert machine.install(small, "--dry-run", *given, env={"HOME": None}).returncode == 0

    @pytest.mark.slow
    def test_point_16_spaces_and_quotes_work_to_the_end(self, machine: Machine, small: Path) -> None:
        given = ["--prefix", str(machine.home / "a b" / "it's"), "--bin-dir", str(machine.home / "my bin")]
        before = tree(machine.root)
        done = machine.install(small, *given, "--modify-path")
        assert done.returncode == 0, done.stderr
        line = ". ~/.bashrc; command -v stackctl; stackctl --version"
        found = subprocess.run(["/bin/bash", "-c", line], env=machine.env(), capture_output=True, text=True)
        assert found.stdout == f"{machine.home}/my bin/stackctl\nstackctl 1.0.0\n", found.stderr
        assert machine.install(small, "--uninstall", *given).returncode == 0
        assert tree(machine.root) == before

    @pytest.mark.slow
    @pytest.mark.parametrize("option", ["--prefix", "--bin-dir"])
    def test_point_16_a_folder_that_is_read_only_is_said(
        self, machine: Machine, small: Path, option: str
    ) -> None:
        there = machine.work / "there"
        done = machine.install_with_mount(small, "ro", machine.work, option, str(there))
        assert done.returncode == 1
        assert "--prefix and --bin-dir" in done.stderr.splitlines()[-1]
        assert tree(machine.home) == {}


class TestPoint17:
    @pytest.mark.parametrize("wanted", ["1.0.0", "v1.0.0"])
    def test_point_17_its_own_version_may_be_named(self, machine: Machine, small: Path, wanted: str) -> None:
        assert machine.install(small, "--dry-run", "--version", wanted).returncode == 0
        assert machine.install(small, "--dry-run", env={"STACKCTL_VERSION": wanted}).returncode == 0

    @pytest.mark.parametrize("wanted", ["1.0 0", "../1", "1;true"])
    def test_point_17_what_is_no_version_is_refused(self, machine: Machine, small: Path, wanted: str) -> None:
        assert machine.install(small, "--version", wanted).returncode == 2

    @pytest.mark.slow
    def test_point_17_another_release_is_installed_by_its_own_script(
        self, machine: Machine, small: Path, small_newer: Path, tmp_path: Path
    ) -> None:
        host = tmp_path / "host"
        host.mkdir()
        (host / "1.0.0").symlink_to(small)
        (host / "1.1.0").symlink_to(small_newer)
        with served(host) as server:
            script = (small / "install.sh").read_bytes()
            base = ["--base-url", f"{server.url}/1.0.0", "--insecure-test"]
            done = machine.pipe(script, *base, "--version", "v1.1.0")
            asked = [path for path, _ in server.asked]
        assert done.returncode == 0, done.stderr
        assert machine.version() == "1.1.0"
        assert {path.split("/")[1] for path in asked} == {"1.1.0"}

    def test_point_17_a_script_of_another_release_that_its_sums_do_not_know_is_not_run(
        self, machine: Machine, small: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "host" / "1.1.0").mkdir(parents=True)
        script = (small / "install.sh").read_bytes()
        (tmp_path / "host" / "1.1.0" / "SHA256SUMS").write_bytes((small / "SHA256SUMS").read_bytes())
        (tmp_path / "host" / "1.1.0" / "install.sh").write_text(f"echo run >'{machine.home}/run'\n")
        with served(tmp_path / "host") as server:
            base = ["--base-url", f"{server.url}/1.0.0", "--insecure-test"]
            done = machine.pipe(script, *base, "--version", "1.1.0")
        assert (done.returncode, "is not what SHA256SUMS says" in done.stderr) == (5, True)
        assert tree(machine.home) == {}

    @pytest.mark.slow
    @pytest.mark.parametrize("client", ["curl", "wget", "busybox", "python"])
    def test_point_17_a_version_that_is_not_there_is_said_and_where_the_others_are(
        self, machine: Machine, small: Path, tmp_path: Path, client: str
    ) -> None:
        (tmp_path / "host").mkdir()
        (tmp_path / "host" / "1.0.0").symlink_to(small)
        machine.fetch_with(client)
        machine.stand_in("sleep")  # between its tries
        before = tree(machine.root, but=("calls",))
        with served(tmp_path / "host") as server:
            base = ["--base-url", f"{server.url}/1.0.0", "--insecure-test", "--version", "7.7.7"]
            for options in ([], ["--dry-run"]):
                done = machine.pipe((small / "install.sh").read_bytes(), *base, *options)
                assert done.returncode == 4
                assert "7.7.7/install.sh" in done.stderr
                assert f"hint: is there a 7.7.7? {server.url}/install.sh is the newest" in done.stderr
            assert machine.install(small, *base, "--dry-run").returncode == 2
        assert tree(machine.root, but=("calls",)) == before

    @pytest.mark.slow
    @pytest.mark.parametrize("client", ["curl", "wget", "busybox", "python"])
    def test_point_17_a_dry_run_looks_whether_another_version_is_there(
        self, machine: Machine, small: Path, small_newer: Path, tmp_path: Path, client: str
    ) -> None:
        (tmp_path / "host").mkdir()
        (tmp_path / "host" / "1.1.0").symlink_to(small_newer)
        machine.fetch_with(client)
        before = tree(machine.root)
        with served(tmp_path / "host") as server:
            base = ["--base-url", server.url, "--insecure-test", "--version", "1.1.0", "--dry-run"]
            done = machine.pipe((small / "install.sh").read_bytes(), *base)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"version 1.1.0 is another release: {server.url}/1.1.0/install.sh installs it\n"
        assert tree(machine.root) == before


@pytest.mark.parametrize("orders", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_point_18_a_dry_run_changes_nothing_wherever_it_stands(
    machine: Machine, small: Path, orders: int
) -> None:
    flags = [
        *("--force", "--modify-path", "--no-modify-path", "--no-completions", "--yes", "-q", "-v"),
        *("--verify-signature", "--insecure-test"),
    ]
    before, choose = tree(machine.root), random.Random(18)
    every = [choose.sample([*flags, "--dry-run"], len(flags) + 1) for _ in range(16)]
    every += [list(one) for one in itertools.permutations(["--dry-run", "--force", "-v", "-y"])]
    for order in every[:orders]:
        assert machine.install(small, *order).returncode == 0
        assert tree(machine.root) == before, order


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "asked first at a terminal, else the line to add is printed"),
        (("--modify-path",), "in your shell's start-up file"),
        (("--no-modify-path",), "no file is changed, the line to add is printed"),
        (("--yes",), "no file is changed, the line to add is printed"),
    ],
)
def test_point_18_the_plan_says_what_becomes_of_the_path(
    machine: Machine, small: Path, options: tuple[str, ...], words: str
) -> None:
    done = machine.install(small, "--dry-run", *options)
    said = done.stderr.splitlines()[-1]
    assert said == f"  put {machine.launcher.parent} on PATH, where it is not: {words}"


@pytest.mark.parametrize(
    "options",
    [
        *(["--nonsense"], ["-x"], ["extra"], ["--dry-run=yes"], ["--prefix"], ["--prefix="], ["--version"]),
        *(
            ["--prefix", "--dry-run"],
            ["--method", "pip"],
            ["--bin-dir", "a\nb"],
            ["--prefix=~/a"],
            ["-qv"],
            ["--"],
            [""],
        ),
    ],
)
def test_point_19_a_wrong_word_ends_before_anything_is_done(
    machine: Machine, small: Path, options: list[str]
) -> None:
    done = machine.install(small, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert tree(machine.home) == {}


def at_terminal(machine: Machine, release: Path, answer: str, *options: str) -> tuple[int, str]:
    """Run the installer on a terminal of its own, and type."""
    argv = [*shell_words("dash"), str(release / "install.sh"), "--from", str(release), *options]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(machine.work)
        os.execve(argv[0], argv, machine.env())
    seen, answered = "", False
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data.decode()
        if "[Y/n]" in seen and not answered:
            os.write(terminal, answer.encode())
            answered = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), seen


@pytest.mark.slow
class TestPoint20:
    @pytest.mark.parametrize(
        ("answer", "edits"), [("y\n", True), ("\n", True), ("n\n", False), ("\x04", False)]
    )
    def test_point_20_at_a_terminal_it_asks(
        self, machine: Machine, small: Path, answer: str, edits: bool
    ) -> None:
        code, seen = at_terminal(machine, small, answer)
        assert code == 0, seen
        assert f"Put {machine.launcher.parent} on PATH in {machine.home}/.bashrc? [Y/n]" in seen
        assert (machine.home / ".bashrc").exists() == edits

    @pytest.mark.parametrize("option", ["-y", "CI"])
    def test_point_20_told_not_to_it_does_not_ask(self, machine: Machine, small: Path, option: str) -> None:
        machine.environ |= {"CI": "true"} if option == "CI" else {}
        code, seen = at_terminal(machine, small, "", *(["-y"] if option == "-y" else []))
        assert (code, "[Y/n]" in seen, (machine.home / ".bashrc").exists()) == (0, False, False)

    @pytest.mark.parametrize("stdin", ["null", "closed"])
    def test_point_20_without_a_terminal_it_ends(self, machine: Machine, small: Path, stdin: str) -> None:
        machine.give("setsid")
        close = "exec 0<&-; " if stdin == "closed" else ""
        line = f'{close}exec setsid -w /bin/dash "$0" --from "$1"'
        done = subprocess.run(
            ["/bin/bash", "-c", line, str(small / "install.sh"), str(small)],
            env=machine.env(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert not (machine.home / ".bashrc").exists()
        assert "is not on PATH" in done.stderr


def told(machine: Machine, small: Path, shell: str, *options: str, **env: str) -> None:
    done = machine.install(small, *options, "--force", env={"SHELL": f"/bin/{shell}", **env})
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
class TestPoint21:
    def test_point_21_a_path_that_has_the_folder_is_left_alone(self, machine: Machine, small: Path) -> None:
        path = f"{machine.tools}:{machine.home}/./.local/bin//"
        machine.launcher.parent.mkdir(parents=True)
        told(machine, small, "bash", "--modify-path", PATH=path)
        assert not (machine.home / ".bashrc").exists()

    def test_point_21_many_runs_make_one_block(self, machine: Machine, small: Path) -> None:
        (machine.home / ".bashrc").write_text("alias ll='ls -l'")
        for _ in range(4):
            told(machine, small, "bash", "--modify-path")
        text = (machine.home / ".bashrc").read_text()
        assert text.startswith("alias ll='ls -l'\n")
        assert subprocess.run(["/bin/bash", "-n", str(machine.home / ".bashrc")]).returncode == 0
        assert text.count(BLOCK) == 1
        assert (machine.home / ".bashrc.before-stackctl").read_text() == "alias ll='ls -l'"

    @pytest.mark.parametrize("way", ["flag", "environment"])
    def test_point_21_no_is_no(self, machine: Machine, small: Path, way: str) -> None:
        environ = {"STACKCTL_NO_MODIFY_PATH": "1"} if way == "environment" else {}
        options = ["--no-modify-path"] if way == "flag" else []
        told(machine, small, "bash", "--modify-path", *options, **environ)
        assert not (machine.home / ".bashrc").exists()

    def test_point_21_zsh_and_fish_have_their_own_files(self, machine: Machine, small: Path) -> None:
        told(machine, small, "zsh", "--modify-path", ZDOTDIR=str(machine.home / "z"))
        assert BLOCK in (machine.home / "z" / ".zshrc").read_text()
        told(machine, small, "fish", "--modify-path")
        assert "set -gx PATH" in (machine.home / ".config/fish/conf.d/stackctl.fish").read_text()
        assert machine.install(small, "--uninstall").returncode == 0
        assert tree(machine.home) == {}

    def test_point_21_an_unknown_shell_is_told(self, machine: Machine, small: Path) -> None:
        before = tree(machine.home)
        done = machine.install(small, "--modify-path", env={"SHELL": "/bin/tcsh"})
        assert "export PATH=" in done.stderr
        machine.install(small, "--uninstall")
        assert tree(machine.home) == before

    def test_point_21_a_link_stays_a_link(self, machine: Machine, small: Path) -> None:
        (machine.home / "dotfiles").mkdir()
        (machine.home / "dotfiles" / "bashrc").write_text("a=1\n")
        (machine.home / ".bashrc").symlink_to("dotfiles/bashrc")
        before = tree(machine.home)
        told(machine, small, "bash", "--modify-path")
        assert (machine.home / ".bashrc").is_symlink()
        assert BLOCK in (machine.home / "dotfiles" / "bashrc").read_text()
        assert machine.install(small, "--uninstall").returncode == 0
        assert tree(machine.home) == before

    def test_point_21_a_file_that_may_not_be_written_is_left_and_its_line_told(
        self, machine: Machine, small: Path
    ) -> None:
        machine.environ |= {"SHELL": "/bin/zsh", "ZDOTDIR": str(machine.home / "z")}
        (machine.home / "z").mkdir()
        done = machine.install_with_mount(small, "ro", machine.home / "z", "--modify-path")
        assert done.returncode == 0, done.stderr
        assert f"{machine.home}/z/.zshrc" in done.stderr
        assert "export PATH=" in done.stderr
        assert machine.version() == "1.0.0"
        assert machine.install(small, "--uninstall").returncode == 0
        assert list(tree(machine.home)) == ["z"]

    def test_point_21_github_is_told(self, machine: Machine, small: Path) -> None:
        (machine.root / "github").write_text("")
        told(machine, small, "bash", "-y", GITHUB_PATH=str(machine.root / "github"))
        assert (machine.root / "github").read_text() == f"{machine.launcher.parent}\n"


@pytest.mark.slow
def test_point_22_completions_are_files_of_their_own(machine: Machine, small: Path) -> None:
    data = machine.home / ".local" / "share"
    mine = data / "zsh" / "site-functions" / "_stackctl"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    assert machine.install(small).returncode == 0
    assert (data / "bash-completion/completions/stackctl").read_text() == "# completion for bash\n"
    assert (data / "fish/vendor_completions.d/stackctl.fish").read_text() == "# completion for fish\n"
    assert mine.read_text() == "mine\n"
    assert not list(machine.home.glob(".*rc")), "completions need no start-up file"
    assert machine.install(small, "--uninstall").returncode == 0
    assert mine.read_text() == "mine\n"
    done = machine.install(small, "--no-completions", env={"SHELL": "/bin/zsh"})
    assert (done.returncode, "for completion in zsh" in done.stderr) == (0, False)
    assert not (data / "bash-completion").exists()


@pytest.mark.slow
def test_point_22_zsh_which_looks_nowhere_by_itself_is_told_where(machine: Machine, small: Path) -> None:
    data = machine.home / "my data"
    done = machine.install(small, env={"SHELL": "/bin/zsh", "XDG_DATA_HOME": str(data)})
    said = "for completion in zsh, in .zshrc before compinit: "
    line = next(one for one in done.stderr.splitlines() if one.startswith(said)).removeprefix(said)
    words = f"{line}; for one in $fpath; do test ! -e $one/_stackctl || print -r -- $one; done"
    found = subprocess.run(
        [*shell_words("zsh"), "-fc", words], env=machine.env(), capture_output=True, text=True
    )
    assert found.stdout == f"{data}/zsh/site-functions\n", found.stderr
    assert not (machine.home / ".zshrc").exists()
    again = machine.install(small, "--force", env={"SHELL": "/bin/zsh", "XDG_DATA_HOME": str(data)})
    assert said not in again.stderr


@pytest.mark.slow
def test_point_23_another_stackctl_before_ours_is_said(machine: Machine, small: Path) -> None:
    machine.stand_in("stackctl")
    path = f"{machine.tools}:{machine.launcher.parent}"
    done = machine.install(small, env={"PATH": path})
    assert f"warning: `{machine.tools}/stackctl` comes before `{machine.launcher}` on PATH" in done.stderr
    assert f"next: {machine.launcher} up hello" in done.stderr
    after = machine.install(small, "--force", env={"PATH": f"{machine.launcher.parent}:{machine.tools}"})
    assert "comes before" not in after.stderr
    assert "next: stackctl up hello" in after.stderr
