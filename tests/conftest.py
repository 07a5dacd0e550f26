"""Set-up of the whole suite: shapes and types checked at every call of mlit, one thread a process."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import torch
from jaxtyping import install_import_hook

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
# Must come before the first import of mlit: every annotated function checks its arguments and its result.
# The "tower" lets whole numbers stand where floats are annotated, as static type checkers do.
install_import_hook("mlit", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
