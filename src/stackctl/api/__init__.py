"""The Python API behind `from stackctl import Client`: a second face beside the command line."""
