"""The precision of a task: its own before the provider's, refused where the device lacks it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from models.registry import Registry
from streamproc.clients.staged_objects import BucketUploads
from streamproc.contract import env
from streamproc.contract.providers import Provider
from streamproc.contract.records import FoldPoint, Submitted
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import TaskFailedError
from streamproc.providers.engine_factory import Engines
from streamproc.providers.model_cache import ModelCache
from streamproc.settings import read_settings
from streamproc.source.fetch.interrupt import Interrupt
from tests.workers import make_spec

LACKING = "f64"
"""No device has it."""
Make = Callable[..., Engines]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make the engines of a worker with this precision, and these providers."""
    with ThreadPoolExecutor(1) as pool:

        def make(configured: str, *providers: Provider) -> Engines:
            settings = read_settings(
                {env.KAFKA: "127.0.0.1:1", env.PRECISION: configured, env.DEVICE: "CPU"}
            )
            settings = msgspec.structs.replace(settings, providers=providers)
            uploads = BucketUploads(StoreSettings("http://127.0.0.1:1", key="key", secret="secret"))
            return Engines(settings, ModelCache(Registry(None)), pool, uploads, depth=1)

        yield make


def test_a_task_that_wants_none_has_that_of_its_provider_or_of_the_worker(make: Make) -> None:
    assert make("f32", Provider("local")).resolve("local") == ("CPU", "f32")
    assert make(LACKING, Provider("exact", precision="f32")).resolve("exact") == ("CPU", "f32")


def test_a_tasks_own_precision_goes_first(make: Make) -> None:
    engines = make(LACKING, Provider("local"), Provider("other", precision=LACKING))
    for name in ("local", "other"):
        assert engines.resolve(name, "f32") == ("CPU", "f32")


def test_a_precision_that_the_device_lacks_is_refused_by_name(make: Make) -> None:
    engines = make("f32", Provider("local"))
    spec = make_spec("file:///clip.mp4", (), precision=LACKING)
    submitted = Submitted("t", "p", 0, 1, spec, FoldPoint(0))
    with pytest.raises(TaskFailedError) as resolving:
        engines.resolve("local", spec.precision)
    with pytest.raises(TaskFailedError) as opening:
        engines.open("local", submitted, "", None, None, Interrupt())  # what the claim then has
    for failure in (resolving.value, opening.value):
        assert failure.code == "device_unavailable"
        assert LACKING in failure.message
