"""Hundreds of millions of rows: units of work for any number of processes, by Dask."""
