"""Spectra as files of the SDSS, one each."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from flowspec.data.atomic import replacing
from flowspec.data.spectra import Spectra
from flowspec.data.units import FLUX_UNIT
from flowspec.io.lsf import SDSS_PIXEL


def write_sdss(folder: str | Path, obs: Spectra) -> list[Path]:
    """Write each spectrum as a ``spec`` file of the SDSS, named as its row.

    Args:
        folder: Where to; made if it is not there. Files of the same names are replaced.
        obs: The spectra, whose names are those of files.

    Returns:
        The files.

    Raises:
        OSError: If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row, (name, flux, ivar) in enumerate(zip(obs.names, obs.flux, obs.ivar, strict=True)):
        columns = {"flux": flux, "loglam": np.log10(obs.wave), "ivar": ivar}
        if obs.lsf is not None:  # 0 is "not known" there
            width = np.nan_to_num(obs.lsf[row]) / SDSS_PIXEL
            columns["wdisp"] = np.broadcast_to(width, flux.shape)
        table = fits.BinTableHDU.from_columns(
            [fits.Column(title, "E", array=values) for title, values in columns.items()],
            name="COADD",
        )
        primary = fits.PrimaryHDU()
        primary.header["BUNIT"] = FLUX_UNIT.to_string("fits")
        path = folder / f"{name}.fits"
        with replacing(path) as temporary:
            fits.HDUList([primary, table]).writeto(temporary)
        paths.append(path)
    return paths
