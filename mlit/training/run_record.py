"""What a run folder says about the run in it: settings and input, so that nothing else is resumed as that run."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlit.errors import InputError
from mlit.io.atomic import atomic_write
from mlit.project.results import content_hash

RECORD = Path("checkpoints", "config.json")
PROGRESS = ("summary.json", "checkpoints/last.ckpt", "checkpoints/series/*.pt")
HOW_NOT_WHAT = (
    "output",
    "memory_gib",
    "trainer",
    "logger",
    "callbacks",
    "history",
)  # these may change between start and resumption


def claim_output(output: Path, cfg: DictConfig) -> None:
    """Refuse a folder that holds a run with other settings or other input.

    A folder in which nothing has been reached yet, as after a mistake in the first call, is free for any run.

    Raises
    ------
    InputError
        Naming what differs.
    """
    path = output / RECORD
    if not path.is_file() or not any(any(output.glob(pattern)) for pattern in PROGRESS):
        return
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is damaged ({error}); give another output=… or delete {output}") from error
    wanted = _record(cfg)
    changed = sorted(_differences(known["settings"], wanted["settings"]))
    if changed:
        raise InputError(
            f"{output} holds a run with another {', '.join(changed)}; give another output=… or delete that folder"
        )
    for name, digest in wanted["input_sha256"].items():
        if known["input_sha256"].get(name, digest) != digest:
            raise InputError(f"{name} has changed since the run in {output} began; give another output=…")


def note_settings(output: Path, cfg: DictConfig) -> None:
    """Write down settings and input of the run that begins."""
    with atomic_write(output / RECORD) as partial:
        partial.write_text(json.dumps(_record(cfg), indent=1), encoding="utf-8")


def _record(cfg: DictConfig) -> dict[str, Any]:
    """Collect the settings that decide what comes out, paths of files made absolute, and hashes of these files."""
    container: Any = OmegaConf.to_container(cfg, resolve=True)
    settings = _absolute({key: value for key, value in container.items() if key not in HOW_NOT_WHAT})
    given = {key: settings.get(key) for key in ("data", "species", "more_species")}
    return {"settings": settings, "input_sha256": {name: content_hash(Path(name)) for name in _files(given)}}


def _absolute(value: Any) -> Any:
    """Replace paths of files that exist by absolute ones."""
    if isinstance(value, Mapping):
        return {key: _absolute(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_absolute(entry) for entry in value]
    if isinstance(value, str) and _is_file(value):
        return str(Path(value).resolve())
    return value


def _files(value: Any) -> Iterator[str]:
    """Yield all texts that name a file."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _files(entry)
    elif isinstance(value, str) and _is_file(value):
        yield value


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no possible name of a file
        return False


def _differences(first: Any, second: Any, key: str = "") -> list[str]:
    """Keys whose values differ."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        found = []
        for name in first.keys() | second.keys():
            found += _differences(first.get(name), second.get(name), f"{key}.{name}" if key else str(name))
        return found
    return [] if first == second else [key]
