"""The one name that the wheel installs: its packages `api`, `console` and so on are in this folder.

They import each other by these names. So the folder becomes the first one in which this process
looks for modules, before any other distribution's `api` or `models`. In a source tree the packages
are in the root, which an editable install has made known.
"""

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

if (_FOLDER / "console").is_dir():
    sys.path.insert(0, str(_FOLDER))
