"""Benchmarks: ``python -m benchmarks NAME [--option value] [-o out.json]``."""
