"""What turns pages that are written for a repository's viewer into pages of the site; mkdocs calls the functions."""

import html
import re
import unicodedata
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
CHANGES = "CHANGELOG.md"


def on_config(config):
    """Take the pages from the table in docs/index.md, and anchors as the viewers of repositories make them."""
    index = Path(config.docs_dir, "index.md").read_text(encoding="utf-8")
    pages = re.findall(r"^\| \[([^\]]+)\]\((?:\.\./)?([\w.]+\.md)\) \|", index, re.MULTILINE)
    config.nav = [{"Overview": "index.md"}, *({title: page} for title, page in pages)]
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def slug(heading, separator):
    """Anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def on_files(files, config):
    """Add the changelog, which lies outside the folder of the pages."""
    files.append(File.generated(config, CHANGES, content=(ROOT / CHANGES).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    """Write formulas as MathML, and take the links off what is no page of the site."""
    markdown = re.sub(
        r"^```math\n(.*?)^```$", lambda found: f"\n{formula(found[1], 'block')}\n", markdown, flags=re.M | re.S
    )
    markdown = re.sub(r"\$`(.+?)`\$", lambda found: formula(found[1], "inline"), markdown, flags=re.S)
    markdown = markdown.replace(f"(../{CHANGES}", f"({CHANGES}")
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def formula(latex, display):
    """Formula as MathML in one line, which Markdown leaves alone."""
    text = " ".join(convert(latex.strip(), display=display).split())
    return re.sub(r'<mi mathvariant="(bold|bold-italic|sans-serif)">([^<]+)</mi>', styled, text)


def styled(found):
    """Letter of a style, of which browsers know none but the letters themselves."""
    style = {"bold": "BOLD", "bold-italic": "BOLD ITALIC", "sans-serif": "SANS-SERIF"}[found[1]]
    letter = unicodedata.name(html.unescape(found[2])).split(maxsplit=1)[1].replace("LETTER ", "")
    return f"<mi>{unicodedata.lookup(f'MATHEMATICAL {style} {letter}')}</mi>"
