"""The installed version; a tree that was never installed has none."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("framewire")
except PackageNotFoundError:
    VERSION = "0+source"
