"""Spectra of cool stars by abundance, from the emulator in the package bossbrain.

Its three networks stand in pickles of PyTorch modules. They are read here as bare arrays, by an
unpickler that knows the few names it needs and refuses all others, so that no code of a file runs
and neither PyTorch nor the package has to be installed.
"""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np

WAVE = 3500.0 + 0.5 * np.arange(14001)  # A, in air, as its code says
FILES = {4100.0: "3500-4200", 4950.0: "4000-5000", np.inf: "4900-6000"}  # K, upper limits of use
ELEMENTS = {"C": "cm", "N": "nm", "O": "om", "Na": "nam", "Mg": "mgm", "Si": "sim", "Ca": "cam",
            "Ti": "tim"}  # fmt: skip


class _Plain:
    """Stands for any class of the emulator: only its attributes are kept."""

    def __setstate__(self, state):
        self.__dict__.update(state)


def _array(make, args, state, _=None):
    made = make(*args)
    made.__setstate__(state)
    return made


def _tensor(raw, offset, size, stride, *_):
    if offset or stride != tuple(np.cumprod((1, *size[:0:-1]))[::-1]):
        raise ValueError(f"expected contiguous tensors; got {offset}, {size}, {stride}")
    count = int(np.prod(size))
    return np.frombuffer(raw, "<f4", count, len(raw) - 4 * count).reshape(size)


class _Reader(pickle.Unpickler):
    KNOWN = {
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
        ("torch.storage", "_load_from_bytes"): bytes,
        ("collections", "OrderedDict"): OrderedDict,
        ("dill._dill", "_create_array"): _array,
    }

    def find_class(self, module, name):
        if (module, name) in self.KNOWN:
            return self.KNOWN[module, name]
        if module.split(".")[0] in ("theborg", "torch"):
            return type(name, (_Plain,), {})
        if module.startswith("numpy") and name in ("_reconstruct", "ndarray", "dtype", "scalar"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise ValueError(f"expected arrays and modules; got {module}.{name}")


class Emulator:
    """Continuum-normalised spectra of stars of 3500 to 6000 K and log g below 3.5."""

    def __init__(self, folder):
        self.parts = {}
        for limit, name in FILES.items():
            with (Path(folder) / f"data/ann_22pars_{name}.pkl").open("rb") as file:
                self.parts[limit] = _Reader(file).load()
        self.labels = self.parts[np.inf].label_names

    def spectrum(self, teff, logg, metallicity, **abundance):
        """Flux over continuum on `WAVE`; parameters are clipped to the range of the emulator.

        Args:
            teff: K.
            logg: log10 of cm/s2.
            metallicity: dex, all elements over solar.
            abundance: dex over that of the others, by the names of `ELEMENTS`.
        """
        part = next(p for limit, p in self.parts.items() if teff < limit)
        x = np.zeros(len(self.labels))
        x[:3] = teff, logg, metallicity
        for element, value in abundance.items():
            x[self.labels.index(ELEMENTS[element])] = value
        x = np.clip((x - part.xmin) / (part.xmax - part.xmin), 0, 1) - 0.5
        layers = [m._parameters for m in part.model._modules["features"]._modules.values()]
        layers = [m for m in layers if m]
        for layer in layers[:-1]:
            x = layer["weight"] @ x + layer["bias"]
            x = np.where(x > 0, x, 0.01 * x)  # LeakyReLU
        return layers[-1]["weight"] @ x + layers[-1]["bias"]
