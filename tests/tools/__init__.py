"""Tools for working on the repository, run by hand with `python -m`."""
