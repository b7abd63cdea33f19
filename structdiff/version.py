"""The version of structdiff."""

__version__ = "0.1.0"
