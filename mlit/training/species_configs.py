"""The config of each species of a run."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlit.errors import InputError


def species_configs(cfg: DictConfig) -> list[DictConfig]:
    """Return one config for each species, as if it were the only one of the run: the first, then ``more_species``.

    Raises
    ------
    InputError
        If two have the same name.
    """
    configs = [cfg]
    for entry in cfg.get("more_species") or []:
        own: Any = OmegaConf.to_container(entry)
        one = cfg.copy()
        one.data.particles = own.pop("particles")
        if "trajectories" in one.data:
            one.data.trajectories = None
        in_population = own.pop("species", None)
        if "species" in one.data:
            one.data.species = in_population or own["name"]
        one.species = own
        one.more_species = []
        configs.append(one)
    names = [one.species.name for one in configs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"species.name={name}: several species are called so; their folders would be the same")
    return configs
