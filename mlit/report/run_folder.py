"""The files of a finished run, read when they are asked for."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from mlit.errors import InputError
from mlit.geometry.map_symmetry import Symmetry, make_symmetry

Table = Any  # a pandas.DataFrame, whose own annotations cannot tell a column from a table


@dataclass(frozen=True)
class RunFolder:
    """What a run has left behind; nothing but its own folder is read.

    Parameters
    ----------
    path
        Output folder of ``mlit refine``, ``reconstruct``, ``weights`` or ``demo``.
    """

    path: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Final figures.

        Raises
        ------
        InputError
            If the folder holds no finished run.
        """
        try:
            return json.loads((self.path / "summary.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{self.path}: holds no summary.json; give the output folder of a finished run") from error
        except ValueError as error:
            raise InputError(f"{self.path / 'summary.json'}: is damaged; repeat the run") from error

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Names of the species, which are those of the folders of their maps.

        Raises
        ------
        InputError
            If the summary is not that of a run, or names a folder elsewhere.
        """
        names = self.summary.get("species")
        if not isinstance(names, dict) or any(Path(name).name != name for name in names):
            raise InputError(f"{self.path / 'summary.json'}: names no species; give the output folder of a run")
        return tuple(names)

    @cached_property
    def metrics(self) -> Table:
        """A row for each iteration and series; empty where there is no table."""
        return self.table("metrics.csv")

    @cached_property
    def last_fits(self) -> Table:
        """Rows of each series of the last iteration in which it was fitted, by the name of the series."""
        if self.metrics.empty:
            return self.metrics
        fitted = self.metrics[self.metrics["passes"] > 0]
        return fitted.sort_values("iteration").groupby("series").last()

    @cached_property
    def config(self) -> dict[str, Any]:
        """Settings of the run with all references resolved; empty where they are gone."""
        kept = self.path / "checkpoints" / "config.json"
        if kept.is_file():
            return json.loads(kept.read_text(encoding="utf-8")).get("settings", {})
        composed = self.path / ".hydra" / "config.yaml"
        if not composed.is_file():
            return {}
        return OmegaConf.to_container(OmegaConf.load(composed), resolve=True)  # type: ignore[return-value]

    @cached_property
    def parameters(self) -> dict[str, Table]:
        """Refined hyperparameters of each fitted series, by name; indices are columns of their own."""
        return {path.stem: _with_indices(path) for path in sorted((self.path / "parameters").glob("*.csv"))}

    @cached_property
    def suspects(self) -> Table:
        """Picks and tilts that the fits do not believe; empty where there are none."""
        return self.table("suspects.csv")

    def table(self, name: str) -> Table:
        """Read a CSV table of the run; empty where there is none.

        Raises
        ------
        InputError
            If it is damaged.
        """
        path = self.path / name
        if not path.is_file():
            return pd.DataFrame()
        try:
            return pd.read_csv(path, converters={"series": str})  # a series may be called NA
        except ValueError as error:
            raise InputError(f"{path}: is damaged ({error}); repeat the run") from error

    def of_species(self, name: str, key: str, default: Any) -> Any:
        """Return a setting of a species, or a default where nothing is known of it."""
        known = [self.config.get("species") or {}, *(self.config.get("more_species") or [])]
        value = next((settings.get(key) for settings in known if settings.get("name") == name), None)
        return default if value is None else value

    def symmetry(self, name: str) -> Symmetry:
        """Symmetry of the maps of a species."""
        keys = {"symmetry": "C1", "helical_units": 1, "helical_twist": 0.0, "helical_rise": 0.0}
        return make_symmetry(*(self.of_species(name, key, default) for key, default in keys.items()))


def _with_indices(path: Path) -> Table:
    """Read a table of parameters; ``tilt=3 axis=0`` becomes the columns ``tilt`` and ``axis``."""
    table = pd.read_csv(path)
    names = table["parameter"].str.extractall(r"(?P<axis_name>\w+)=(?P<index>\d+)").reset_index(level=1, drop=True)
    if names.empty:
        return table
    wide = names.set_index("axis_name", append=True)["index"].astype(int).unstack("axis_name")
    return table.join(wide.rename(columns=lambda name: f"at_{name}"))
