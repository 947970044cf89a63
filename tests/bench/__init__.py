"""Measurements of the product, run by `make bench`."""
