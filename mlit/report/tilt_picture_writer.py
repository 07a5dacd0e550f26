"""Small pictures of the tilt images of a run, written while its images are at hand."""

from pathlib import Path

from mlit.report.tilt_pictures import picture_path, shown_tilts, small_picture, write_picture
from mlit.training.data import SeriesBatch
from mlit.training.module import RefinementModule
from mlit.training.series_callback import SeriesCallback


class TiltPictures(SeriesCallback):
    """Writes the first, middle and last tilt of each series once, in the process that has the series.

    Parameters
    ----------
    folder
        Output folder of the run.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def after_series(self, module: RefinementModule, batch: SeriesBatch) -> None:
        """Write those of this series."""
        self.write(batch)

    def write(self, batch: SeriesBatch) -> None:
        """Write what is not there yet; nothing of a series whose images cannot be used."""
        if batch.images is None:
            return
        for tilt in shown_tilts(len(batch.images.pixels)):
            path = picture_path(self.folder, batch.name, tilt)
            if not path.is_file():
                write_picture(path, small_picture(batch.images.pixels[tilt].float()))
