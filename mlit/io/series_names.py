"""Names of tilt series, which every program writes differently."""

_EXTENSIONS = (".tomostar", ".xml", ".star", ".mrc", ".mrcs", ".st", ".ali", ".rec", ".map")


def series_key(name: str) -> str:
    """Return the bare name of a series.

    Folders and the extensions that programs add are taken off, as often as they were added: `TS_01`,
    `TS_01.tomostar` and `X/TS_01.mrc.tomostar` are one series. Case counts; dots inside names stay.
    """
    key = name.strip().replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    while True:
        extension = next((e for e in _EXTENSIONS if key.lower().endswith(e) and len(key) > len(e)), None)
        if extension is None:
            return key
        key = key[: -len(extension)]
