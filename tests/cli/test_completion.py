"""What bash offers when Tab is pressed; the script for zsh is read by zsh where there is one."""

import shutil
import subprocess

import pytest

from mlit.cli.completion import completion
from mlit.cli.registry import VERBS


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "mlit.bash"
    path.write_text(completion("bash"))
    return path


def offered(script, line, folder="."):
    """Press Tab at the end of a line."""
    code = f'source {script}; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; _mlit; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return done.stdout.split()


def test_verbs(script):
    assert set(offered(script, "mlit ")) == {*VERBS, "completion", "--help", "--version"}
    assert offered(script, "mlit refi") == ["refine"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mlit refine species.dia", ["species.diameter="]),
        ("mlit refine species.diameter=280 schedule=q", ["quick"]),
        ("mlit refine model=", ["auto", "coarse", "fine", "standard"]),
        ("mlit export to", ["to="]),
        ("mlit history model", [""]),
        ("mlit refine --cf", ["--cfg"]),
    ],
)
def test_words_of_a_verb(script, line, expected):
    assert offered(script, line) == [word for word in expected if word]


def test_files(script, tmp_path):
    (tmp_path / "particles.star").touch()
    assert offered(script, "mlit refine data.particles=part", tmp_path) == ["particles.star"]


def test_the_command(call, capsys, script):
    assert call("completion", "bash") == 0
    assert capsys.readouterr().out == script.read_text()
    assert call("completion", "fish") == 2
    assert "bash or zsh" in capsys.readouterr().err
    assert call("completion") == 2


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_reads_its_script(tmp_path):
    path = tmp_path / "_mlit"
    path.write_text(completion("zsh"))
    code = f'autoload -U compinit; compinit -u -D; source {path}; print -r -- "$_comps[mlit]"'
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "_mlit", "")
