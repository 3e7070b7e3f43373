"""What `--help` says below the options: what a command writes, and examples."""

START = """\
start here:
  flowspec demo                                    mock galaxies: table and figures in a minute
  flowspec models                                  the models that come with flowspec
  flowspec predict spec-*.fits --model sdss -o results.ecsv
                                                   posteriors of your spectra, no training
  flowspec plot spec-1.fits --model sdss -o spec-1.png
                                                   a figure to judge one by
  flowspec view spec-*.fits --model sdss -o page   a page to look at them with, in a browser

with simulations or a training of your own:
  flowspec simulate sdss --n 10000 -o sims.h5      parameters and spectra to look at or train on
  flowspec fit --instrument sdss spec-*.fits -o my-model
                                                   train; the noise is taken from your spectra
  flowspec diagnose --model my-model -o report     is it calibrated?

'flowspec COMMAND --help' tells more about each. Spectra may be FITS files of SDSS, BOSS, DESI, MUSE
or JWST, FITS tables, or HDF5, gzipped or not. Errors are one line on stderr, with exit code 2.

A command compiles once: programs are kept in the user's cache, or in the folder that the variable
FLOWSPEC_CACHE names; FLOWSPEC_CACHE=off keeps none.
"""
PREDICT = """\
The table has a row per spectrum: name; coordinates and identifiers where files have them; z_best,
z_prob (best redshift and its probability); z_peaks, z_peak_sigmas, z_peak_probs (up to five
redshifts); <parameter>_p16, _p50, _p84 (percentiles of its posterior); snr; p_value (small: unlike
anything the model was trained on); flags, flag_names, notes. A spectrum that cannot be read among
others that can be is a row with the flag no_data, and 'notes' says why. Of a folder everything is
read that can be a spectrum. The ending of TABLE says its format; a new folder is made.

examples:
  flowspec predict spec-*.fits --model sdss -o results.ecsv
  flowspec predict night-3/ --model sdss -o results/night-3.fits --redshift-pdf results/pdf.h5
  flowspec predict survey.h5 --model my-model -o results.fits --samples samples.h5 --num-samples 200
  flowspec predict table.fits --flux-unit "1e-18 erg/s/cm2/A" --column err=FLUX_SIGMA \\
           --model sdss -o results.ecsv
  flowspec predict mixed-surveys/ --model auto -o results.ecsv
  flowspec predict survey.h5 --total PETRO_I:sdss_i --model sdss -o whole-galaxies.ecsv

With --model auto each spectrum is answered by the shipped model that keeps most of it, and where
several keep about as much, by the first whose simulations it is like; the column 'model' says
which. A spectrum that none covers is a row with the flag no_data, and 'notes' says which comes
closest.

With --total the table has log_mstar_total and log_sfr_total of whole galaxies too; other columns
are of what the aperture holds. Bands: sdss_u to _z, panstarrs_, decam_, hsc_, lsst_, euclid_.

With a model of emission lines (nebula, cloudy) SPECTRA are catalogues (CSV, ECSV, FITS, HDF5), a
row per object: for each line the columns <LINE> and <LINE>_err, or an upper limit <LINE>_ul of 3
sigma; names such as Hbeta, [OIII]5007, [SII]6717,6731, HB4861_FLUX. Any unit; gaps are fine. The
table has the probability of every ionising source, and percentiles of the parameters.

  flowspec predict lines.ecsv --model cloudy -o out.ecsv
  flowspec predict lines.csv --column '[OIII]5007=o3' --column '[OIII]5007_err=o3_sig' \\
           --model nebula --dereddened -o out.fits

Maps of lines, a FITS file with an image per line and error (PHANGS-MUSE, MaNGA), become maps where
TABLE ends in .fits: an image per parameter, end of its interval, class and flags, with the sky
coordinates of the input. With other endings they are rows with x, y, ra and dec.

  flowspec predict NGC0628_MAPS.fits --model nebula -o NGC0628_nebula.fits

With --dask the output is a folder, a data set of Parquet files, one for each input file or block of
rows of a large one. The same command again goes on after whatever ended it, and tries again what
failed, which _failed.jsonl lists; other models or options need another folder. The results are the
same to the byte for any number of workers. Needs dask and distributed: pip install
'flowspec[cluster]'.

  flowspec predict night-3/ --model optical -o results/ --dask 8
  flowspec predict survey.h5 --model sdss -o results/ --dask tcp://scheduler:8786
"""
VIEW = """\
FOLDER/index.html is one file that needs no server and no network: per spectrum the data with errors
and masks, the best model, residuals, lines named at any redshift, the redshift's density and peaks,
a corner plot, flags in words; a table to sort and filter; verdicts by keyboard, kept in the browser
and exported as CSV ('?' on the page tells the keys). At most 2000 rows. Of line catalogues: BPT
diagrams with the model's grid, residuals of lines, a corner plot, sources.

Spectra are read again and their posteriors worked out again (milliseconds each), so that no samples
need to be kept. A table of predict (.fits, .ecsv, .parquet, .h5) tells where they are and of which
model; with --rows it says which rows to show: the whole of it, or what is left of it after a
selection elsewhere. The forward model is fitted to the first N spectra, half a second each;
others are shown with a reconstruction from components of simulations. Needs plotly: pip install
plotly.

examples:
  flowspec view results.fits -o page
  flowspec view night-3/ --model sdss -o page
  flowspec view survey.h5 --rows odd-ones.ecsv --model sdss --fits 100 -o page
  flowspec view lines.ecsv --model nebula -o page
"""
PLOT = """\
A PNG per row, those of the highest signal-to-noise ratio of all files. Of a spectrum: the data with
their errors, the best model given the data with what it is made of, residuals in standard
deviations, close looks at lines, the posterior of the redshift on a scale that shows a second one
of a thousandth, and a corner plot of a few parameters. A model of a
simulator of one's own has no best model drawn. Of a row of a line catalogue: diagrams of
excitation, lines measured and predicted, corner plot. Contours hold 39 and 86 % of the draws.

examples:
  flowspec plot spec-0488-51914-0415.fits --model sdss -o figure.png
  flowspec plot night-3/ --model sdss --top 5 --parameters log_age log_zstar av -o figures/
  flowspec plot lines.ecsv --model nebula -o figures/
"""
INSPECT = """\
Per file: its format, its objects, the range of wavelengths, whether they were converted from air,
the unit of flux, what the noise was taken from, the share of pixels without data, and how much of
the wavelengths of each shipped model has good pixels; of a line catalogue, its lines. Nothing is
inferred. Exit code 2 where no file can be read.

examples:
  flowspec inspect spec-*.fits
  flowspec inspect table.fits --flux-unit "1e-18 erg/s/cm2/A" --column err=FLUX_SIGMA
"""
SIMULATE = """\
The file has theta [n, parameters], wave (vacuum A), flux and ivar [n, pixels] (1e-17 erg/s/cm2/A).
'flowspec fit --simulations' and flowspec.read read it. Parameters are drawn from the instrument's
prior; for moons they are those of a survey: real numbers of galaxies of each kind, selected by H
magnitude, with exposure time, magnitude, size and type among the columns of theta. The same command
after an interruption goes on where it stopped.

examples:
  flowspec simulate sdss --n 10000 -o sims.h5
  flowspec simulate vandels --n 2000 --noise-from observed/*.fits --seed 7 -o sims.h5
  flowspec simulate moons --n 120000 --texp 2 4 8 -o moons.h5
"""
FIT = """\
With --instrument every step sees new simulations, with --simulations those of a file: theta with
the attribute param_names, wave, flux and ivar. The model file holds no code and can be shared.

examples:
  flowspec fit --instrument sdss -o my-model
  flowspec fit --instrument sdss spec-*.fits -o my-model --steps 5000 --checkpoint run.ckpt
  flowspec fit --instrument sdss spec-*.fits --start sdss --steps 0 --adapt auto -o my-model
  flowspec fit --simulations sims.h5 -o my-model
  flowspec fit --grid HII=stars.dat.gz AGN=agn.dat.gz --steps 20000 --batch 512 -o my-lines
  flowspec fit --grid stars.dat.gz --clouds mixture --steps 20000 --batch 512 -o my-lines

With --checkpoint, the same command after an interruption goes on where it stopped.
"""
DIAGNOSE = """\
Draws simulations whose truth is known and compares. Per parameter: KS distance of PIT (and SBC
ranks) from uniform, mean of PIT (0.5; above it the posterior lies too low), share of truths inside
the central 68 % and 95 % intervals; jointly: TARP. Figures and table go to the folder.

With --survey: share of right redshifts, purity and completeness above thresholds of z_prob, error
of masses and star-formation rates, and the hours of exposure needed for a completeness.

With --gap: how well a classifier tells observed spectra from simulations (area under the curve, 0.5
where it cannot), in the data and in the model's summaries, with the population as simulated and as
estimated; which wavelengths carry the gap; and the estimated population.

examples:
  flowspec diagnose --model sdss -o report
  flowspec diagnose --model my-model --simulations held-out.h5 -o report
  flowspec diagnose --model my-model --survey held-out.h5 --n 15000 -o report
  flowspec diagnose --model sdss --gap spec-*.fits -o report
"""
MODELS = """\
A paragraph per model; without MODEL all shipped ones, and which of them is for which spectrograph,
as 'flowspec predict --model auto' would choose by wavelengths and resolution alone.

examples:
  flowspec models
  flowspec models my-model
"""
DEMO = """\
Mock galaxies written as files, their posteriors from the shipped model 'sdss', a table of found
against true values, and figures; a minute or two.

example:
  flowspec demo -o flowspec-demo
"""
