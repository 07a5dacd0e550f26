"""How a run came about: the command, the config, versions and hashes of the input."""

import html
import shlex

from omegaconf import OmegaConf

from mlit.report.page import Part
from mlit.report.run_folder import RunFolder


def command(run: RunFolder) -> str:
    """Command that would repeat the run; empty where the folder does not say."""
    folder = run.path / ".hydra"
    if not all((folder / name).is_file() for name in ("hydra.yaml", "overrides.yaml")):
        return ""
    verb = OmegaConf.select(OmegaConf.load(folder / "hydra.yaml"), "hydra.job.config_name")
    words = OmegaConf.to_container(OmegaConf.load(folder / "overrides.yaml"))
    return " ".join(["mlit", str(verb), *(shlex.quote(str(word)) for word in words or [])])


def provenance_parts(run: RunFolder) -> list[Part]:
    """Lay out what a repetition needs."""
    parts = []
    if text := command(run):
        body = f'<pre class="wrap">{html.escape(text)}</pre>'
        caption = "Run it in the same folder, with another output=…; the same folder resumes or does nothing."
        parts.append(Part("command", "Command", caption, body, width="wide"))
    versions = "".join(f"<li>{html.escape(k)} {html.escape(str(v))}</li>" for k, v in _pairs(run, "versions"))
    hashes = "".join(
        f'<tr><td class="hash">{html.escape(k)}</td><td class="hash">{html.escape(str(v))}</td></tr>'
        for k, v in _pairs(run, "input_sha256")
    )
    body = (
        f'<ul>{versions}</ul><div class="scroll"><table><tr><th>input</th><th>SHA-256</th></tr>{hashes}</table></div>'
    )
    caption = (
        "A repetition with the same versions, input, settings and seed on the same kind of computer agrees to rounding."
    )
    parts.append(Part("versions", "Versions and input", caption, body, width="wide"))
    if run.config:
        text = html.escape(OmegaConf.to_yaml(OmegaConf.create(run.config)))
        body = f"<details><summary>show all settings</summary><pre>{text}</pre></details>"
        parts.append(Part("config", "Config", "All settings of the run, defaults included.", body, width="wide"))
    return parts


def _pairs(run: RunFolder, key: str) -> list[tuple[str, object]]:
    return list((run.summary.get(key) or {}).items())
