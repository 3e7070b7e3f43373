"""Mistakes that a type checker must find: each line that says `refused`; it is not run."""

import flowspec as fs

fs.laod("sdss")  # refused: no such name
posterior = fs.load("sdss")
obs = fs.read("spectra.fits")
posterior.sample(obs, "many")  # refused: a number of draws
posterior.sample(1)  # refused: no observations
posterior.sample(obs, draws=10)  # refused: no such option
posterior.redshift_pdf(obs)["z"]  # refused: edges and densities
posterior.summarise(obs)  # refused: no such method
text: str = posterior.sample(obs)  # refused: an array
fs.Spectra([4000.0, 4001.0], [1.0, 1.0])  # refused: without inverse variances
fs.fit("sdss")  # refused: no simulator
fs.fit(fs.GalaxySimulator("sdss"), training=100)  # refused: no number
fs.fit(fs.GalaxySimulator("sdss"), fs.Training())  # refused: only by name
fs.Training(epochs=3)  # refused: no such setting
fs.Training().steps = 3  # refused: frozen
fs.GalaxySimulator(prior={"z": 1})  # refused: no prior
flag = fs.Flag.UNKNOWN  # refused: no such flag
lines: fs.Lines = fs.read("spectra.fits")  # refused: spectra
