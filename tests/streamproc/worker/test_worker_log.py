"""What a worker writes when something unforeseen happens."""

import subprocess
import sys

import pytest

_FAILING = """
import logging, structlog
from streamproc.logging_setup import configure_logging
configure_logging("INFO")
def fetch():
    address = "https://host/clip.mp4?signature=" + "hidden"
    raise RuntimeError("unforeseen", len(address))
for log in (structlog.get_logger(), logging.getLogger("library")):
    try:
        fetch()
    except RuntimeError:
        log.exception("the feeder failed")
"""


@pytest.mark.usefixtures("processes")
def test_a_traceback_in_the_log_shows_no_variables() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAILING], capture_output=True, text=True, check=True
    )
    written = done.stdout + done.stderr
    assert written.count("the feeder failed") == 2
    assert written.count("RuntimeError: ('unforeseen', 38)") == 2
    assert "signature=hidden" not in written
