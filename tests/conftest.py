"""Fixtures and plugins of all suites: the real engines, started when a test asks for them.

Each process of a parallel run has engines of its own; each module has new topics, a new bucket and
a new database, so that no test sees what another file left behind.
"""

import gc
import os

import hypothesis

# Thousands of widgets come and go: a third of the time of their tests was garbage collection.
gc.set_threshold(100_000, 50, 100)
# Read once, when Textual is imported. An animated picture is drawn many times, for nobody.
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.setdefault("TEXTUAL_FPS", "8")
# How long an example takes says nothing on a machine that others share.
hypothesis.settings.register_profile("framewire", deadline=None)
hypothesis.settings.load_profile("framewire")

pytest_plugins = [
    "tests.brokers",
    "tests.engines",
    "tests.foreign_s3",
    "tests.plugins.deaths",
    "tests.plugins.leaks",
    "tests.plugins.missing",
    "tests.plugins.order",
    "tests.plugins.processes",
]
