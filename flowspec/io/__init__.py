"""Bytes to `Spectra` and `Lines` and back: FITS formats, HDF5 with named columns, gzip of both."""

from flowspec.data.air import air_to_vacuum as air_to_vacuum
from flowspec.data.air import vacuum_to_air as vacuum_to_air
from flowspec.io.files import read as read
from flowspec.io.grids import read_grid as read_grid
from flowspec.io.hdf5 import Writer as Writer
from flowspec.io.hdf5 import read_simulations as read_simulations
from flowspec.io.hdf5 import stream as stream
from flowspec.io.hdf5 import write as write
from flowspec.io.line_stream import write_lines as write_lines
from flowspec.io.line_table import read_lines as read_lines
from flowspec.io.line_table import stream_lines as stream_lines
from flowspec.io.maps import write_maps as write_maps
from flowspec.io.spectrum_lists import from_spectrum_list as from_spectrum_list
from flowspec.io.spectrum_lists import to_spectrum_list as to_spectrum_list
