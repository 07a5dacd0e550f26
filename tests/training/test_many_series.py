"""Two hundred tilt series: what a run writes, reads and says grows with their number, not with its square."""

import csv
import dataclasses

import pytest
import torch

from mlit.training import fitting, map_maker, module
from mlit.training.assembly import make_module
from mlit.training.data import SeriesBatch, TiltSeriesDataModule
from mlit.training.run import fit as fit_all
from mlit.training.series_step import add_to_maps, fit

STOP_AT = 150
ONE = "schedule.iterations=[{resolution_angstrom: 30, blocks: [poses]}]"
WORDS = ("denoiser=none", "references.tight_box=1.2", ONE)


@dataclasses.dataclass
class Copies:
    """Copies of one series under other names; only one of them is fitted and put into maps, the others repeat it."""

    project: object
    data: TiltSeriesDataModule
    fits: list = dataclasses.field(default_factory=list)
    stop_at: int = -1
    known: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, project, count, diameter):
        first = project.series[0]
        copies = tuple(dataclasses.replace(first, name=f"TS_{number:04d}") for number in range(count))
        many = dataclasses.replace(project, series=copies)
        data = TiltSeriesDataModule([many], diameter)
        images = data.dataset[0].images
        data.dataset.cache = {place: SeriesBatch(one.name, images) for place, one in enumerate(copies)}
        return cls(many, data)

    def fit(self, model, images, context, *rest):
        if len(self.fits) == self.stop_at:
            self.stop_at = -1
            raise KeyboardInterrupt
        self.fits.append(model)
        active = tuple(block.name for block in model.active_blocks)
        if active not in self.known:
            self.known[active] = fit(model, images, context, *rest)
        return self.known[active]

    def run(self, cfg, monkeypatch):
        def add(sums, *rest):
            if not sums.rows.any():
                add_to_maps(sums, *rest)

        monkeypatch.setattr(fitting, "fit", self.fit)
        monkeypatch.setattr(map_maker, "add_to_maps", add)
        made = make_module([self.project], cfg)
        fit_all(made, self.data, cfg)
        return made


def test_two_hundred_series_resume_and_report(small, config, monkeypatch, tmp_path):
    cfg = config(*WORDS)
    copies = Copies.of(small, 200, cfg.species.diameter)
    copies.stop_at = STOP_AT
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        copies.run(cfg, monkeypatch)
    folder = tmp_path / "run" / "checkpoints" / "series"
    done = {path.name: path.stat().st_mtime_ns for path in folder.glob("TS_*.pt")}
    assert len(done) == STOP_AT

    recorded = []
    original = module.SeriesLedger.record
    monkeypatch.setattr(
        module.SeriesLedger, "record", lambda self, *entry: (recorded.append(entry[:2]), original(self, *entry))
    )
    copies.run(cfg, monkeypatch)
    assert len(copies.fits) == 200
    assert recorded == [(f"TS_{number:04d}", 1) for number in range(STOP_AT, 200)]
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = [(int(row["iteration"]), row["series"]) for row in csv.DictReader(file)]
    assert rows == [(epoch, one.name) for epoch in range(2) for one in copies.project.series]


def test_files_grow_with_the_number_of_series(small, config, monkeypatch, tmp_path):
    size = {}
    for count in (10, 40):
        cfg = config(*WORDS, f"output={tmp_path / str(count)}")
        Copies.of(small, count, cfg.species.diameter).run(cfg, monkeypatch)
        folder = tmp_path / str(count) / "checkpoints"
        state = torch.load(folder / "last.ckpt", weights_only=True)
        references = sum(one["maps"].nbytes for one in state["references"])
        files = [*folder.glob("series/*.pt"), tmp_path / str(count) / "metrics.csv"]
        size[count] = (folder / "last.ckpt").stat().st_size - references, sum(path.stat().st_size for path in files)
    for few, many in zip(size[10], size[40], strict=True):
        assert many < 4.2 * few
