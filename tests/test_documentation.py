"""Links, figures, commands, keys and names in the documentation exist."""

import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from mlit.cli.arguments import parse_arguments
from mlit.cli.completion import COMMAND as COMPLETION
from mlit.cli.composer import Composed, Composer
from mlit.cli.config_folder import config_folder, group_options
from mlit.cli.kinds import has_key
from mlit.cli.registry import VERBS
from mlit.cli.validation import validated_overrides
from mlit.errors import InputError
from mlit.project import recommend, recommend_blocks, recommend_read

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FIGURES = ROOT / "docs" / "figures"
PICTURES = ROOT / "docs" / "pictures"
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Text without code blocks, in which brackets are no links."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def script(name: str) -> ModuleType:
    """A script as a module."""
    loader = SourceFileLoader(f"script_{name}", str(ROOT / "scripts" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    """The script that draws the figures, as a module."""
    return script("figures")


@pytest.fixture(scope="module")
def configs() -> dict[str, Composed]:
    composed = {}
    for verb in VERBS:
        composer = Composer(verb)
        with composer.ready():
            composed[verb] = composer.compose([])
    composer = Composer("refine")
    with composer.ready():
        for kind in group_options([config_folder()], "data"):
            composed[f"refine {kind}"] = composer.compose([f"data={kind}"])
    return composed


@every_page
def test_relative_links_resolve(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert target.is_relative_to(ROOT), f"{page.name} links outside the repository: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} has no such heading"


def test_every_page_can_be_reached_from_the_index():
    linked = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links(ROOT / "docs" / "index.md")}
    assert {page for page in PAGES if page.parent.name == "docs"} - {ROOT / "docs" / "index.md"} <= linked


def test_pictures_are_those_of_the_script_and_shown():
    drawn = {f"{name}.png" for name in script("pictures").PICTURES}
    shown = {Path(link).name for page in PAGES for link in links(page) if link.endswith(".png")}
    assert {path.name for path in PICTURES.iterdir()} == drawn == shown
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 300_000


def test_the_thresholds_of_advice_are_those_of_the_code():
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([\d.]+) \|", text_of(ROOT / "docs" / "recommend.md"), re.MULTILINE)
    modules = (recommend, recommend_blocks, recommend_read)
    for name, value in rows:
        found = [getattr(module, name) for module in modules if hasattr(module, name)]
        assert found, f"recommend.md names {name}"
        assert found[0] == pytest.approx(float(value), rel=2e-3)
    assert len(rows) >= 12


def test_every_figure_is_drawn_by_the_script_and_shown(figures):
    drawn = {f"{name}.svg" for name in figures.FIGURES}
    shown = {Path(link).name for page in PAGES for link in links(page) if link.endswith(".svg")}
    assert {path.name for path in FIGURES.iterdir()} == drawn
    assert shown == drawn


def test_the_script_writes_the_figures_that_are_kept(figures, tmp_path):
    figures.draw_all(tmp_path)
    for path in sorted(FIGURES.iterdir()):
        kept, drawn = (re.findall(r"<text[^>]*>([^<]*)</text>", text_of(p)) for p in (path, tmp_path / path.name))
        assert kept, f"{path.name} holds no text as text"
        assert kept == drawn, f"{path.name} is out of date: run scripts/figures"


@every_page
def test_config_keys_exist(page, configs):
    groups = {group for composed in configs.values() for group in composed.choices}
    named = re.findall(rf"(?<![\w./+-])((?:{'|'.join(sorted(groups))})(?:\.[a-z0-9_]+)+)(?![\w(])", text_of(page))
    for key in named:
        if key.endswith((".md", ".py", ".csv")):
            continue
        known = any(has_key(composed.values, key) for composed in configs.values())
        assert known, f"{page.name} names the key {key}"


@every_page
def test_config_options_exist(page, configs):
    groups = {group for composed in configs.values() for group in composed.choices}
    for group in groups:
        options = group_options([config_folder()], group)
        for named in re.findall(rf"(?<![\w./]){group}=([a-z0-9_]+(?:[|,][a-z0-9_]+)*)", text_of(page)):
            for option in re.split(r"[|,]", named):
                assert option in options, f"{page.name} names {group}={option}"


@every_page
def test_commands_exist(page):
    for verb in re.findall(r"`(?:[^`]*\n)?\s*mlit ([a-z]+)\b", text_of(page)):
        assert verb in (*VERBS, COMPLETION), f"{page.name} names mlit {verb}"


def commands_of(page: Path) -> Iterator[list[str]]:
    """Words of every command in blocks and in the text, without the name of the program."""
    blocks = re.findall(r"^```\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = [span.replace("\n", " ") for span in re.findall(r"(?<!`)`(mlit [^`]+)`(?!`)", prose_of(page))]
    for line in (*lines, *spans):
        if line.strip().startswith("mlit "):
            plain = re.sub(r"\$[A-Z]+", "P/x", re.sub(r"\s[#>]\s.*$", "", line))
            yield shlex.split(plain)[1:]


def refusal(verb: str, words: list[str]) -> str | None:
    """Why a command is refused, None if it is not; one that leaves something out is checked as far as it goes."""
    given = [word for word in words if "…" not in word and ("=" in word or word.startswith("-"))]
    if verb not in VERBS or "--help" in given:
        return None
    if importlib.util.find_spec("hydra_plugins") is None:  # launchers are in an extra of their own
        given = [word for word in given if not word.startswith(("hydra/launcher=", "hydra.launcher."))]
    whole = given == words and any(word.startswith(("output=", "history.folder=")) for word in words)
    try:
        arguments = parse_arguments(given)
        validated_overrides(Composer(verb), arguments.overrides, arguments.multirun, complete=whole)
    except InputError as error:
        return str(error)
    return None


@every_page
def test_no_command_is_refused(page):
    reasons = {" ".join(["mlit", verb, *words]): refusal(verb, words) for verb, *words in commands_of(page)}
    assert {command: reason for command, reason in reasons.items() if reason is not None} == {}


def test_a_command_with_an_unknown_key_is_refused():
    assert "specis" in (refusal("refine", ["specis.diameter=280"]) or "")


def test_there_are_commands_to_compose():
    counts = {page.name: sum(1 for _ in commands_of(page)) for page in PAGES}
    assert counts["README.md"] >= 4
    assert counts["running.md"] >= 20
    assert counts["quickstart.md"] >= 6


@every_page
def test_paths_of_the_repository_exist(page):
    for path in re.findall(r"`((?:mlit|tests|conf|scripts|docs)/[\w./*-]+)`", text_of(page)):
        pattern = re.sub("[A-Z]{2,}", "*", path.rstrip("/"))  # conf/VERB.yaml stands for any verb's
        assert list(ROOT.glob(pattern)), f"{page.name} names {path}"


def test_the_rooms_of_the_developer_page_are_those_of_the_package():
    table = re.findall(r"^\| `(\w+)` \|", text_of(ROOT / "docs" / "developer.md").split("## Manners")[0], re.M)
    contract = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    assert table == contract["layers"][::-1]
    rooms = {p.stem for p in (ROOT / "mlit").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert set(table) == rooms - {"__init__", "__main__"}


def test_the_glossary_names_every_axis():
    glossary = text_of(ROOT / "docs" / "developer.md").split("## Glossary")[1]
    rows = [row.split("|")[1] for row in glossary.splitlines() if row.startswith("| `")]
    known = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    prefixes = tuple(name[:-1] for name in known if name.endswith("_*"))
    for path in (ROOT / "mlit").rglob("*.py"):
        if path.is_relative_to(ROOT / "mlit" / "simulation"):
            continue
        for shape in re.findall(r'(?:Float|Int|Bool|Complex)\[[\w.]+, "([^"]*)"\]', text_of(path)):
            for axis in shape.split():
                number_or_many = re.fullmatch(r"\d+|\.\.\.|\*\w+", axis)
                assert number_or_many or axis in known or axis.startswith(prefixes), f"{path.name}: axis {axis}"
