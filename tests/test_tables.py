"""Tables of results: what every column is, every format keeps, and several redshifts of a row."""



import astropy.units as u
import h5py
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import MaskedColumn, Table, vstack

from flowspec.cli.outputs import check_table, write_table
from flowspec.data.extra import MISSING
from flowspec.io.densities import DensityWriter
from flowspec.io.results import TableWriter
from flowspec.io.table_formats import TABLES
from flowspec.model.redshift_bins import RedshiftBins
from flowspec.model.space import Space
from flowspec.posterior.candidates import candidate_columns, candidates, refined
from flowspec.posterior.columns import described, in_order
from flowspec.posterior.redshift import LIMIT, peaks
from flowspec.prior.parameters import PARAMETERS, broad_prior
from flowspec.prior.prior import Prior

LONG = 39627746095137037  # beyond 2^53: a float would make it even
EDGES = np.expm1(np.arange(0.0, np.log(3.0), 0.0012))  # a bin is narrower than a window
Z = 0.5 * (EDGES[1:] + EDGES[:-1])


def mixture(*parts) -> np.ndarray:
    """Density of normal distributions, each a share, a mean and a standard deviation."""
    pdf = sum(w * np.exp(-0.5 * ((Z - m) / s) ** 2) / s for w, m, s in parts)
    return pdf / (pdf * np.diff(EDGES)).sum()


def galaxies() -> Space:
    return Space((broad_prior(),), ("galaxy",), RedshiftBins(0.0, 0.5, 0.001))


def table() -> Table:
    """Two rows of a model of galaxies; the second is one without data."""
    whole = Table({"name": ["spec.fits", "é.fits"]})
    whole["ra"] = MaskedColumn([216.17324123456, 0.0], mask=[False, True])
    whole["target_id"] = MaskedColumn([LONG, 0], mask=[False, True])
    whole["class_archive"] = MaskedColumn(["GALAXY", ""], mask=[False, True])
    two = np.array([0.14047123, np.nan], np.float32)
    whole["z_best"] = MaskedColumn(two, mask=[False, True])
    whole["z_prob"] = MaskedColumn([0.93412345678, np.nan], mask=[False, True])
    peaks = np.full((2, 5), np.nan, np.float32)
    peaks[0, :2] = 0.14047123, 0.3
    whole["z_peaks"] = MaskedColumn(peaks, mask=np.isnan(peaks))
    for name, value in (("log_mstar", 10.5123456), ("av", 0.2512345)):
        whole[f"{name}_p50"] = MaskedColumn(np.float32([value, 0]), mask=[False, True])
    whole["flags"], whole["notes"] = [0, 1], ["", "no good pixels"]
    return described(whole, galaxies())


# --- columns


def test_every_parameter_has_a_description_and_its_unit():
    names = [f"{n}_p{level}" for n in broad_prior().names for level in (16, 50, 84)]
    found = described(Table({n: np.float32([1]) for n in names}), galaxies())
    assert found["log_mstar_p16"].description == (
        "16th percentile of mass in stars and remnants in the aperture, log10 M_sun")
    units = {n: found[f"{n}_p50"].unit for n in broad_prior().names}
    assert units == {
        "z": None, "log_mstar": u.dex(u.M_sun), "log_sfr": u.dex(u.M_sun / u.yr),
        "log_age": u.dex(u.Gyr), "log_zstar": u.dex, "av": u.mag, "log_u": u.dex, "oh": u.dex,
        "dispersion": u.km / u.s,
    }  # fmt: skip
    others = set(PARAMETERS) - set(units)  # of nebulae
    prior = Prior({n: dist.Uniform(0.0, 1.0) for n in (*others, "own")})
    found = described(Table({f"{n}_p50": [1.0] for n in prior.names}),
                      Space((prior,), ("HII-a",)))
    assert found["log_pk_p50"].unit == u.dex(u.K / u.cm**3) and found["no_p50"].unit == u.dex
    assert found["own_p50"].description == "50th percentile of own"
    assert found["own_p50"].unit is None
    assert all(found[n].description for n in found.colnames)


def test_columns_say_what_they_are_conditional_on():
    for name in ("z_best", "z_prob"):
        text = table()[name].description
        assert "model's prior (redshift 0 to 0.5)" in text and "like the simulations" in text


def test_columns_stay_plain_arrays():
    """No quantities: what has been computed with them goes on working."""
    mass = table()["log_mstar_p50"]
    assert mass[0] - np.float32(10.5123456) == 0 and type(mass + 1) is type(mass)
    assert not isinstance(mass, u.Quantity)
    assert table()[:1]["av_p50"].unit == u.mag
    whole = vstack([table(), table()])
    assert whole["av_p50"].unit == u.mag and whole["av_p50"].description


def test_labels_come_after_the_name():
    names = ["name", "z_best", "ra", "flags", "z_archive"]
    assert in_order(names) == ["name", "ra", "z_archive", "z_best", "flags"]


# --- formats


@pytest.mark.parametrize("ending", [".ecsv", ".fits", ".vot", ".xml"])
def test_formats_keep_values_masks_units_and_descriptions(ending, tmp_path):
    write_table(table(), tmp_path / f"out{ending}")
    found, given = Table.read(tmp_path / f"out{ending}", format=TABLES[ending]), table()
    assert found.colnames == given.colnames
    assert found["target_id"].dtype.kind == "i" and found["target_id"][0] == LONG
    assert found["ra"][0] == 216.17324123456  # whole: it is no answer of a model
    for name in ("ra", "target_id", "z_best", "z_prob", "av_p50"):
        values = np.ma.filled(np.ma.asarray(found[name], float), np.nan)
        assert np.isfinite(values[0]) and np.ma.getmaskarray(found[name])[1] | np.isnan(values[1])
        assert values[0] == pytest.approx(given[name][0], rel=1e-5)
    np.testing.assert_allclose(np.ma.filled(found["z_peaks"], np.nan)[0, :3],
                               [0.140471, 0.3, np.nan], rtol=1e-5)
    for name in given.colnames:
        words = (found[name].description or "").split()
        assert words == (given[name].description or "").split(), name
    assert found["ra"].unit == u.deg and found["av_p50"].unit == u.mag
    if ending == ".ecsv":
        assert found["log_mstar_p50"].unit == u.dex(u.M_sun)
    assert str(found["name"][1]) == ("\\xe9.fits" if ending == ".fits" else "é.fits")


def test_fits_cards_for_other_readers(tmp_path):
    write_table(table(), tmp_path / "out.fits")
    head = fits.getheader(tmp_path / "out.fits", 1)
    number = {head[f"TTYPE{i}"]: i for i in range(1, head["TFIELDS"] + 1)}
    assert head[f"TCOMM{number['z_prob']}"] == table()["z_prob"].description
    assert "log10 M_sun" in head[f"TCOMM{number['log_mstar_p50']}"]
    assert head[f"TUNIT{number['av_p50']}"] == "mag"
    assert head[f"TNULL{number['target_id']}"] == MISSING
    data = fits.getdata(tmp_path / "out.fits", 1)
    assert np.isnan(data["z_best"][1]) and np.isnan(data["ra"][1]) and data["ra"][0] > 216
    assert data["z_peaks"].shape == (2, 5) and data["class_archive"][1] == ""


def test_votable_units_are_of_the_standard(tmp_path):
    write_table(table(), tmp_path / "out.vot")
    fields = {f.name: f for f in parse_single_table(tmp_path / "out.vot").fields}
    assert fields["log_mstar_p50"].unit is None  # VOUnits has no dex
    assert "log10 M_sun" in fields["log_mstar_p50"].description
    assert fields["target_id"].datatype == "long" and fields["z_best"].datatype == "float"


def test_text_has_the_digits_that_are_known(tmp_path):
    for ending in (".csv", ".ecsv", ".vot"):
        write_table(table(), tmp_path / f"out{ending}")
    csv = (tmp_path / "out.csv").read_text().splitlines()
    assert csv[0].startswith("name,ra,target_id,class_archive,z_best,z_prob,z_peaks_1,z_peaks_2")
    assert csv[1].startswith(
        f"spec.fits,216.17324123456,{LONG},GALAXY,0.140471,0.934123,0.140471,0.3,,,,10.5123,")
    assert csv[2] == "é.fits,,,,,,,,,,,,,1,no good pixels"  # nothing is known, nothing is said
    ecsv = (tmp_path / "out.ecsv").read_text().splitlines()
    assert " 0.140471 0.934123 " in ecsv[-2] and "[0.140471,0.3," in ecsv[-2]
    xml = (tmp_path / "out.vot").read_text()
    assert "<TD>0.140471</TD>" in xml and "<TD>0.140471 0.3 " in xml


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(table(), tmp_path / "out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet")
    first, second = found.to_pylist()
    assert first["target_id"] == LONG and second["target_id.mask"] and np.isnan(second["z_best"])
    known = " ".join(found.schema.metadata[b"table_meta_yaml"].decode().split())
    assert "unit: dex(solMass)" in known and "like the simulations" in known


def test_hdf5_keeps_units_and_descriptions_and_columns_that_come_later(tmp_path):
    with TableWriter(tmp_path / "out.h5", {"seed": 3}) as writer:
        writer.append(table()["name", "z_best", "z_peaks", "flags"])
        writer.append(table())
        writer.append(table()["name", "z_best", "z_peaks", "flags"])
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["log_mstar_p50"].attrs["units"] == "dex(solMass)" and file.attrs["seed"] == 3
        assert file["z_prob"].attrs["description"] == table()["z_prob"].description
        assert file["target_id"][...].tolist() == [MISSING] * 2 + [LONG] + [MISSING] * 3
        assert file["target_id"].attrs["missing"] == MISSING
        assert np.isfinite(file["ra"][...]).tolist() == [i == 2 for i in range(6)]
        assert file["class_archive"].asstr()[...].tolist() == ["", "", "GALAXY", "", "", ""]
        assert file["z_peaks"].shape == (6, 5) and file["flags"][...].tolist() == [0, 1] * 3


def test_formats_are_known_before_the_work(tmp_path, monkeypatch):
    for ending in (*TABLES, ".h5"):
        if ending != ".parquet":
            check_table(str(tmp_path / "new" / "folder" / f"out{ending}"))
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match=r"out\.txt: expected .* \.ecsv, .*\.parquet or \.h5"):
        check_table(str(tmp_path / "out.txt"))
    monkeypatch.setattr("flowspec.io.table_formats.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"out\.parquet: expected pyarrow .*pip install pyarrow"):
        check_table(str(tmp_path / "out.parquet"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a folder to write to; got a file"):
        check_table(str(tmp_path / "file" / "out.ecsv"))


def test_redshift_densities(tmp_path):
    pdf = np.stack([mixture((1, 0.4, 0.01)), np.full(len(Z), np.nan)])
    with DensityWriter(tmp_path / "pdf.h5", EDGES, {"seed": 0}) as writer:
        writer.append(["a"], pdf[:1])
        writer.append(["b"], pdf[1:])
    with h5py.File(tmp_path / "pdf.h5") as file:
        np.testing.assert_allclose(file["density"][...], pdf, rtol=1e-6, atol=1e-30)
        assert file["names"].asstr()[...].tolist() == ["a", "b"]
        assert (file["density"][0] * np.diff(file["edges"])).sum() == pytest.approx(1, rel=1e-5)


# --- several redshifts


def test_peaks_of_a_known_mixture():
    parts = [(0.15, 1.5, 0.004), (0.5, 0.4, 0.002), (0.06, 0.2, 0.003), (0.25, 0.9, 0.003),
             (0.03, 1.2, 0.002), (0.01, 0.7, 0.002)]  # fmt: skip
    found = candidates(EDGES, mixture(*parts)[None])
    first = sorted(parts, reverse=True)[:5]
    inside = [0.9876 if s == 0.004 else 1 for _, _, s in first]  # 2.5 standard deviations
    bins = np.array([np.interp(m, Z, np.diff(EDGES)) for _, m, _ in first])
    widths = np.sqrt([s**2 for _, _, s in first] + bins**2 / 12)
    np.testing.assert_allclose(found.z[0], [m for _, m, _ in first], atol=1e-4)
    np.testing.assert_allclose(found.share[0], [w * i for (w, _, _), i in
                                                zip(first, inside, strict=True)], atol=1e-3)
    np.testing.assert_allclose(found.sigma[0], widths, rtol=0.1)
    best = peaks(EDGES, mixture(*parts)[None])
    assert found.z[0, 0] == pytest.approx(best.z[0], abs=1e-12)
    assert found.share[0, 0] == pytest.approx(best.share[0], abs=1e-12)


@pytest.mark.parametrize(("parts", "number"), [
    ([(1, 0.8, 0.05)], 1),  # a window holds a sixth of it: its wings are no peaks
    ([(1, 0.8, 50.0)], 1),  # nothing is known
    ([(0.6, 0.5, 0.008), (0.4, 0.53, 0.004)], 2),  # which overlap
    ([(0.996, 0.5, 0.002), (0.004, 0.9, 0.002)], 1),  # too little to tell
])  # fmt: skip
def test_as_many_peaks_as_there_are(parts, number):
    found = candidates(EDGES, mixture(*parts)[None])
    assert np.isfinite(found.z[0]).sum() == number == np.isfinite(found.sigma[0]).sum()


def test_windows_do_not_overlap_and_hold_no_more_than_all():
    rng = np.random.default_rng(0)
    mass = rng.gamma(0.03, size=(300, len(Z))) + 1e-9
    mass /= mass.sum(1, keepdims=True)
    found = candidates(EDGES, mass / np.diff(EDGES))
    assert (np.nansum(found.share, 1) <= 1 + 1e-9).all() and (np.nan_to_num(found.share) >= 0).all()
    filled = np.nan_to_num(found.share)
    assert (np.diff(filled, axis=1) <= 0).all() and np.isfinite(found.z).sum(1).min() >= 1
    for rows in found.z:  # means of windows of 0.02 that do not overlap are in order, apart
        assert len(set(np.round(rows[np.isfinite(rows)], 6))) == np.isfinite(rows).sum()


def test_draws_tell_what_bins_cannot():
    rng = np.random.default_rng(1)
    pdf = mixture((0.7, 0.4, 0.001), (0.3, 0.9, 0.001))[None]
    draws = np.concatenate([rng.normal(0.4, 2e-5, 700), rng.normal(0.9, 5e-5, 300)])[:, None]
    found = refined(candidates(EDGES, pdf), draws, np.array([0.4]))
    np.testing.assert_allclose(found.z[0, :2], [0.4, 0.9], atol=1e-5)
    np.testing.assert_allclose(found.sigma[0, :2], [2e-5, 5e-5], rtol=0.1)
    assert np.isnan(found.z[0, 2:]).all() and np.abs(found.z[0, 1] - 0.9) < LIMIT


def test_the_first_peak_is_the_best_redshift_and_masked_with_it():
    pdf = np.tile(mixture((0.6, 0.4, 0.003), (0.3, 0.9, 0.003), (0.1, 1.2, 0.003)), (4, 1))
    found = candidates(EDGES, pdf)
    z_best = np.array([0.4, 0.4, np.nan, 0.4])
    columns = candidate_columns(found, z_best, np.array([0.8, 0.4, np.nan, np.nan]))
    probs = columns["z_peak_probs"][:, :3]
    np.testing.assert_allclose(probs[0], [0.8, 0.15, 0.05], atol=2e-3)  # no more than one in all
    np.testing.assert_allclose(probs[1], [0.4, 0.3, 0.1], atol=2e-3)
    assert np.isnan(probs[2:]).all() and np.isnan(columns["z_peaks"][2]).all()
    assert np.isfinite(columns["z_peaks"][3, :3]).all()


