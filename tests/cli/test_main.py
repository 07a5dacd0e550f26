import re
import subprocess
import sys
import time

import pytest

from mlit.cli.registry import VERBS


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed on stderr, which must be one line and no traceback."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mlit: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_help_names_every_verb(call, capsys):
    assert call("--help") == 0
    page = capsys.readouterr().out
    for name, verb in VERBS.items():
        assert re.search(rf"^  {name} +{re.escape(verb.summary)}$", page, re.MULTILINE)


def test_version(call, capsys):
    assert call("--version") == 0
    assert re.fullmatch(r"mlit \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_no_verb_and_unknown_verb(call, capsys):
    assert call() == 2
    assert "refine" in one_line(capsys)
    assert call("refne") == 2
    assert "did you mean refine?" in one_line(capsys)
    assert call("zzz") == 2
    assert "simulate" in one_line(capsys)


def test_unknown_option(call, capsys):
    assert call("refine", "--foo") == 2
    assert "--foo" in one_line(capsys)
    assert call("refine", "--config-dir", "nowhere") == 2
    assert "nowhere" in one_line(capsys)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['mlit', '--help']; from mlit.cli.main import main; main();"
        "sys.exit([m for m in ('torch', 'lightning', 'hydra', 'pandas') if m in sys.modules] != [])"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    assert elapsed < 2.0  # 0.1 s on an idle machine


def test_checks_and_verb_help_import_no_torch():
    code = (
        "import sys; sys.argv = ['mlit', *sys.argv[1:]]; from mlit.cli.main import main; code = main();"
        "sys.exit('torch' in sys.modules or 10 + code)"
    )
    for words, expected in ((["refine", "--help"], 10), (["refine", "model=none"], 12)):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr


def test_python_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "mlit", "refne"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean refine?" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_verb_help_shows_groups_and_every_key(verb, call, capsys):
    from mlit.cli.composer import Composer
    from mlit.cli.kinds import walk

    assert call(verb, "--help") == 0
    page = capsys.readouterr().out
    composer = Composer(verb)
    with composer.ready():
        composed = composer.compose([])
    for group, choice in composed.choices.items():
        assert f"  {group}=\n" in page
        assert choice is None or re.search(rf"^   \* {choice} ", page, re.MULTILINE)
    for key, value in walk(composed.values):
        if not isinstance(value, dict) or not value:
            assert re.search(rf"^  {re.escape(key)}=", page, re.MULTILINE), key


def test_verb_help_follows_choices(call, capsys):
    assert call("refine", "--help", "optimizer=lbfgs", "seed=7") == 0
    page = capsys.readouterr().out
    assert "optimizer.history=10" in page
    assert "seed=7" in page
    assert "   * lbfgs" in page
