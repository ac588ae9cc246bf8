"""The installed package version; `0+source` in a tree that was never installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("framewire")
except PackageNotFoundError:
    VERSION = "0+source"
