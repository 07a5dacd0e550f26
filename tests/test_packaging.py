"""The wheel holds the configs, and the pins cover what is asked for."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel as pip does, without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    code = f"import hatchling.build as b; print(b.build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


def test_wheel_holds_every_config_module_and_style(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"mlit/conf/{file.relative_to(ROOT / 'conf')}" for file in (ROOT / "conf").rglob("*.yaml")}
    modules = {str(f.relative_to(ROOT)) for kind in ("*.py", "*.css", "*.js") for f in (ROOT / "mlit").rglob(kind)}
    assert configs
    assert configs | modules <= names
    assert not any(name.startswith(("tests/", "conf/")) for name in names)


def test_command_of_the_unpacked_wheel_finds_its_configs(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['mlit', 'refine', '--help'];"
        "from mlit.cli.main import main; code = main();"
        f"import mlit; assert mlit.__file__.startswith({str(tmp_path)!r}); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "mlit" / "conf") in done.stdout


@pytest.mark.parametrize("extra", [None, "dev", "docs", "sim"])
def test_every_requirement_is_pinned_within_its_range(extra):
    wanted = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, wanted):
        pin = PINS[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), f"{requirement} is pinned to {pin}"
