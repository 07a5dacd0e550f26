"""The page as a whole: complete, self-contained, robust, and whole in a real browser."""

import html
import html.parser
import json
import re
import shutil
import subprocess

import pytest

from mlit.errors import InputError
from mlit.report.html_report import SECTIONS, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FIGURES = (
    "fsc-iterations-molecule",
    "fsc-changes-molecule",
    "fsc-final-molecule",
    "guinier-molecule",
    "growth-molecule",
    "iterations",
    "moved",
    "gains",
    "resolution-iterations",
    "sections-molecule",
    "local-resolution-molecule",
    "directional-molecule",
    "series-table",
    "tilts-signal",
    "tilts-shift",
    "tilts-angle",
    "warps",
    "position-errors-molecule",
    "rotation-errors-molecule",
    "probabilities-molecule",
    "angular-distribution-molecule",
    "versions",
    "config",
)
VOID = {"meta", "link", "img", "br"}


class Reader(html.parser.HTMLParser):
    """Checks that elements are closed in order, and gathers what the page refers to."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        named = dict(attrs)
        self.ids += [named["id"]] if "id" in named else []
        self.references += [named[key] for key in ("src", "href", "xlink:href") if key in named]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def test_every_figure_is_there_with_its_caption(fake):
    path = write_report(fake.write())
    found = read(path)
    assert [name for name in found.ids if name not in {section[0] for section in SECTIONS}] == list(FIGURES)
    text = path.read_text(encoding="utf-8")
    assert len(re.findall("<figcaption><b>[^<]+</b>[^<]{30,}</figcaption>", text)) == len(FIGURES)
    assert not re.search(r"\bnan\b", re.sub(r'base64,[^"]*', "", text), re.IGNORECASE)


def test_nothing_is_loaded_from_elsewhere(fake):
    found = read(write_report(fake.write()))
    assert all(reference.startswith(("#", "data:")) for reference in found.references)
    text = (fake.path / "report.html").read_text(encoding="utf-8")
    assert "http" not in text
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_names_cannot_become_part_of_the_page(fake):
    fake.series = ("<img src=x onerror=alert(1)>", "a'b&c")
    fake.suspects = [(fake.series[0], "weak tilt", 1, 0.0, 0.0)]
    path = write_report(fake.write())
    page = path.read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "blank &lt;images&gt;" in page
    read(path)


def test_companions_are_written_beside_the_maps(fake):
    write_report(fake.write())
    folder = fake.path / "molecule"
    script = (folder / "show.cxc").read_text()
    for name in re.findall(r"open (\S+\.(?:mrc|bild))", script):
        assert (folder / name).is_file()
    assert "map_sharp.mrc" in script
    assert re.search(r"color sample #1 map #2 palette [\d.]+,blue:[\d.]+,white:[\d.]+,red", script)
    assert ".cylinder" in (folder / "angular_distribution.bild").read_text()


def test_a_damaged_file_costs_its_section_alone(fake):
    folder = fake.write()
    (folder / "metrics.csv").write_text('a,"b\n1,2,3,4\n')
    (folder / "molecule" / "half1.mrc").write_bytes(b"none")
    page = write_report(folder).read_text(encoding="utf-8")
    assert page.count("Not shown: ") >= 2
    assert 'id="fsc-iterations-molecule"' in page
    assert 'id="tilts-signal"' in page


def test_a_reconstruction_has_a_report_too(fake):
    folder = fake.write()
    for name in ("parameters", "checkpoints"):
        shutil.rmtree(folder / name)
    for name in (
        "tilts.csv",
        "suspects.csv",
        "molecule/subsets.csv",
        "fsc/molecule/iteration_1.star",
        "fsc/molecule/iteration_2.star",
    ):
        (folder / name).unlink()
    columns = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
    fake.write_csv("metrics.csv", tuple(columns), fake.metrics()[:2])
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Not shown" not in page
    assert "No series was fitted" in page
    assert 'id="resolution-iterations"' in page
    assert 'id="fsc-changes-molecule"' not in page


def test_several_species_have_figures_of_their_own(fake):
    fake.species = ("molecule", "other")
    found = read(write_report(fake.write()))
    for name in ("fsc-iterations", "growth", "guinier", "sections", "position-errors", "angular-distribution"):
        assert {f"{name}-molecule", f"{name}-other"} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no summary"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text('{"resolution_angstrom": 3}')
    with pytest.raises(InputError, match="names no species"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text('{"species": {"../elsewhere": {}}}')
    with pytest.raises(InputError, match="names no species"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_hundred_series_fit_into_ten_megabytes(fake):
    fake.series = tuple(f"TS_{i:03d}" for i in range(100))
    fake.tilts = 41
    assert write_report(fake.write()).stat().st_size < 10e6


PROBE = """<script>
window.addEventListener("error", (event) => { document.title = "ERROR " + event.message; });
window.addEventListener("load", () => {
  const heads = [...document.querySelectorAll("#series-table th button")];
  const first = () => document.querySelector("#series-table tbody td").textContent;
  const order = [first()];
  heads[6].click(); order.push(first());
  heads[6].click(); order.push(first());
  const seen = [...document.querySelectorAll("figure")].map((f) => {
    const drawn = f.querySelector("svg, img, table, pre, details").getBoundingClientRect();
    return [f.id, Math.round(drawn.width), Math.round(drawn.height)];
  });
  const broken = [...document.images].filter((i) => !i.complete || !i.naturalWidth).length;
  const result = { order, seen, broken, page: document.documentElement.scrollWidth, window: window.innerWidth };
  const shown = Object.assign(document.createElement("pre"), { id: "probe", textContent: JSON.stringify(result) });
  document.body.replaceChildren(shown);
});
</script>"""


def browse(page, tmp_path, width):
    """Open a page in a frame of some width; return what a script in it finds, and what the browser says.

    A frame, since windows are never narrower than 500 px.
    """
    probed, frame = tmp_path / "probed.html", tmp_path / "frame.html"
    probed.write_text(page.read_text(encoding="utf-8").replace("<head>", f"<head>{PROBE}"), encoding="utf-8")
    frame.write_text(
        f'<iframe src="{probed.as_uri()}" style="width:{width}px;height:900px;border:0"></iframe><script>'
        "addEventListener('load', () => setTimeout(() => document.body.append(document.importNode("
        "document.querySelector('iframe').contentDocument.getElementById('probe'), true)), 500));</script>"
    )
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom")
    flags += ("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=4000")
    command = [CHROMIUM, *flags, f"--window-size={width + 100},900", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-500:] + done.stderr[-2000:]
    return json.loads(html.unescape(found[1])), done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [420, 1400])
def test_a_browser_shows_every_figure_and_sorts_the_table(fake, tmp_path, width):
    page = write_report(fake.write())
    found, said = browse(page, tmp_path, width)
    assert "CONSOLE" not in said
    assert [name for name, _, _ in found["seen"]] == list(FIGURES)
    assert all(wide > 100 and high > 15 for _, wide, high in found["seen"]), found["seen"]
    assert found["broken"] == 0
    assert found["window"] == width
    assert found["page"] <= width
    assert found["order"] == ["TS_1", "TS_2", "TS_1"]
