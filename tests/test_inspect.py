"""`flowspec inspect`: what it says of files whose content is known."""

import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table
from layouts import image, table, write

from flowspec.cli import main
from flowspec.io import vacuum_to_air
from flowspec.posterior.files import read_model
from flowspec.posterior.headers import model_frame, shipped
from flowspec.posterior.legacy import upgraded

LOADED = """
import sys
from flowspec.cli import main
code = main(["inspect", sys.argv[1]])
print(code, *{"flax", "flowjax", "numpyro", "distrax", "optax", "matplotlib"} & set(sys.modules))
"""


def said(capsys, *files, code=0) -> list[dict[str, str]]:
    """Title -> text for each of the files."""
    assert main(["inspect", *map(str, files)]) == code
    found = []
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("  "):
            found[-1][line[2:14].strip()] = line[14:]
        else:
            found.append({"path": line})
    assert [one["path"] for one in found] == [str(file) for file in files]
    return found


def spectra_file(path, wave, n=2, air=False):
    """Flux 7 and 14 in 1e-18 W/m2/um (1e-19 of cgs), S/N 5 and 10; a quarter has no data."""
    flux = 7.0 * np.arange(1, n + 1)[:, None] * np.ones(len(wave)) + 1e-3 * np.sin(wave)
    ivar = np.full(flux.shape, (5 / 7) ** 2)
    ivar[:, ::4] = 0
    unit = "1e-18 W / (m2 um)"
    columns = {"WAVE": np.tile((vacuum_to_air(wave) if air else wave) / 10, (n, 1)),
               "FLUX": flux, "IVAR": ivar}  # fmt: skip
    units = {"WAVE": "nm", "FLUX": unit, "IVAR": "1e36 um2 m4 / W2"}
    write(path, table(columns, "SPECTRA", {"AIRORVAC": "air" if air else "vac"}, units))
    return path


def test_what_is_said_is_what_the_file_holds(tmp_path, capsys):
    wave = np.linspace(4000.0, 9000.0, 4001)
    path = spectra_file(tmp_path / "a.fits", wave, air=True)
    (one,) = said(capsys, path)
    assert one["format"] == "table"
    assert one["columns"] == "wave = WAVE, flux = FLUX, ivar = IVAR"
    assert one["objects"] == "2 (#0 ... #1)"
    assert one["wavelengths"] == "4000.0-9000.0 A in vacuum (converted from air), 4001 pixels"
    assert one["flux"] == "1e-18 W / (um m2), as the file says"
    assert one["noise"].startswith("inverse variance") and "S/N 7.5 " in one["noise"]
    assert one["no data"] == "25 % of pixels"
    grid = model_frame(shipped()["sdss"]).wave
    low, high = max(grid[0], wave[0]), min(grid[-1], wave[-1])
    share = 75 * np.log(high / low) / np.log(grid[-1] / grid[0])
    models = dict(model.split(" ", 1) for model in one["models"].split(" %, "))
    assert abs(float(models["sdss"].split()[0]) - share) < 1


def test_medium_and_lack_of_models(tmp_path, capsys):
    path = spectra_file(tmp_path / "short.fits", np.linspace(4000.0, 4400.0, 401), n=1)
    (one,) = said(capsys, path)
    assert one["objects"] == "1"
    assert one["wavelengths"] == "4000.0-4400.0 A in vacuum (as they are), 401 pixels"
    assert one["models"] == "none fits"


def test_spaxels_without_data_are_counted(tmp_path, capsys):
    wave = np.linspace(4000.0, 9000.0, 2001)
    flux = np.random.default_rng(0).normal(3, 1, (2001, 2, 5))
    ivar = np.ones(flux.shape)
    ivar[:, 0] = 0
    write(tmp_path / "cube.fits", image(flux, "FLUX", {"BUNIT": "1E-17 erg/s/cm^2/Ang/spaxel"}),
          image(ivar, "IVAR"), image(wave, "WAVE"))  # fmt: skip
    (one,) = said(capsys, tmp_path / "cube.fits")
    assert one["objects"] == "10 (#0,0 ... #1,4)"
    assert one["no data"] == "50 % of pixels, 5 of 10 objects wholly"


def test_units_and_formats_of_the_user(tmp_path, capsys):
    wave = np.linspace(4000.0, 9000.0, 4001)
    columns = {"WAVE": wave, "FLUX": np.sin(wave) + 5, "S": np.ones(4001)}
    write(tmp_path / "t.fits", table(columns))
    words = ["--column", "err=S", "--flux-unit", "1e-18 erg/s/cm2/A"]
    (one,) = said(capsys, tmp_path / "t.fits", code=2)
    assert one["unreadable"].startswith("expected")
    assert main(["inspect", str(tmp_path / "t.fits"), *words]) == 0
    text = capsys.readouterr().out
    assert "columns     err = S, wave = WAVE, flux = FLUX\n" in text
    assert re.search(r"flux        1e-18 erg / \(.*\), as given\n", text)
    assert "noise       standard error; S/N 5 per" in text
    assert "in vacuum (assumed: the file does not say)" in text


def test_line_spread(tmp_path, capsys):
    """Of the pixels with data: c / (2.3548 R); most of them, without the ends of the curve."""
    wave = np.linspace(4000.0, 9000.0, 4001)
    power = np.linspace(1000.0, 2000.0, 4001)
    ones = np.ones((2, 4001))
    columns = {"WAVE": wave * ones, "FLUX": ones, "IVAR": ones}
    columns |= {"RESOLVING_POWER": power * [[1.0], [np.nan]]}
    write(tmp_path / "t.fits", table(columns))
    (one,) = said(capsys, tmp_path / "t.fits")
    # 5 and 95 % of pixels: R = 1050 and 1950
    assert one["line spread"] == "sigma 65-121 km/s, resolving power 1050-1950, of 1 of 2 objects"
    assert main(["inspect", str(tmp_path / "t.fits"), "--resolving-power", "2000"]) == 0
    assert "line spread sigma 64 km/s, resolving power 2000\n" in capsys.readouterr().out
    (one,) = said(capsys, spectra_file(tmp_path / "a.fits", wave))
    assert one["line spread"].startswith("not known")


def test_the_first_rows_of_a_large_file_will_do(tmp_path, capsys):
    wave = np.linspace(4000.0, 9000.0, 50)
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file["wave"] = wave
        for name in ("flux", "ivar"):  # 0.8 GB, of which nothing is stored
            file.create_dataset(name, (2_000_000, 50), "f4", chunks=(1000, 50), fillvalue=1.0)
    (one,) = said(capsys, tmp_path / "large.h5")
    assert one["format"] == "hdf5" and one["objects"] == "1024 or more (#0 ... #1023)"


def test_lines_of_a_catalogue(tmp_path, capsys):
    lines = {"Hbeta": [1.0, 2.0], "Hbeta_err": [0.1, 0.1], "[OIII]5007": [3.0, 4.0]}
    lines |= {"[OIII]5007_err": [0.1, 0.1], "name": ["a", "b"]}
    Table(lines).write(tmp_path / "lines.csv")
    (one,) = said(capsys, tmp_path / "lines.csv")
    assert one["format"] == "line catalogue" and one["objects"] == "2 (a ... b)"
    assert set(one["lines"].split()) == {"Hbeta", "[OIII]5007"}
    assert "nebula (2 of 24 lines)" in one["models"]


def test_bad_files_among_good_ones_and_alone(tmp_path, capsys):
    good = spectra_file(tmp_path / "good.fits", np.linspace(4000.0, 9000.0, 401))
    (tmp_path / "text.fits").write_text("this is no table")
    first, second, third = said(capsys, tmp_path / "text.fits", good, tmp_path / "none.fits")
    assert first["unreadable"].startswith("expected FITS or HDF5") and second["format"] == "table"
    assert third["unreadable"] == "expected a file; got a path that does not exist"
    assert main(["inspect", str(tmp_path / "text.fits")]) == 2
    assert capsys.readouterr().err == "error: expected a file that can be read; got 1 that cannot\n"
    assert main(["inspect", str(tmp_path / "*.nothing")]) == 2


def test_networks_are_not_loaded(tmp_path):
    path = spectra_file(tmp_path / "a.fits", np.linspace(4000.0, 9000.0, 401))
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", LOADED, str(path)], capture_output=True,
                          text=True, cwd=root)  # fmt: skip
    assert done.stdout.splitlines()[-1] == "0", done.stderr


@pytest.mark.parametrize("name", shipped())
def test_frames_of_model_files_are_those_of_the_models(name):
    config, arrays = upgraded(*read_model(shipped()[name]))
    frame = model_frame(shipped()[name])
    assert frame.kind == config["frame"]["kind"]
    if frame.kind == "pixels":
        np.testing.assert_array_equal(frame.wave, arrays["wave"])
    else:
        assert list(frame.lines) == list(config["frame"]["names"])


def test_a_file_that_is_no_model_is_one_line(tmp_path):
    (tmp_path / "m").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="m: expected a flowspec model file"):
        model_frame(tmp_path / "m")
