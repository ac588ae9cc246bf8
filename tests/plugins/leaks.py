"""What the tests of a file leave open is said at that file's last test.

Python warns about a socket or a coroutine that nobody closed when it collects the object, which
may happen in any later test of the process: that one failed instead of the culprit. So the rubbish
of each file is collected at its end. What is alive then (modules, fixtures of the session) is taken
out of later collections, which are quick so. If a later file lets go of it, it is rubbish that only
the last collection of the process looks at, which goes through everything.
"""

import gc
import sys
import warnings
from collections.abc import Generator

import pytest

_KINDS = (ResourceWarning, RuntimeWarning)
"""An open file, socket or transport; a coroutine that was never awaited."""


def pytest_sessionstart() -> None:
    gc.disable()  # imports and collection make no rubbish worth looking for


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    yield
    forget_drawn()
    if nextitem is not None and nextitem.path == item.path:
        return
    getattr(item, "funcargs", {}).clear()  # pytest keeps the last test's fixtures a moment longer
    left = collect()
    if nextitem is None:
        gc.unfreeze()
        left += [f"{one} (or of an earlier file)" for one in collect()]
    else:
        gc.freeze()
    if left:
        pytest.fail("left open by a test of this file: " + "; ".join(left), pytrace=False)


def forget_drawn() -> None:
    """Drop what Textual keeps of widgets that are gone: the drawn lines of the last thousand.

    Its cache of two colours has the widget's own cache as a part of the key. These are a million
    objects, which each later collection goes through: half a second at the end of every file.
    """
    if drawn := sys.modules.get("textual._styles_cache"):
        drawn.StylesCache.get_inner_outer.cache_clear()


def collect() -> list[str]:
    """Collect all rubbish, and return the warnings of what was left open in it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    return [str(one.message) for one in caught if issubclass(one.category, _KINDS)]
