"""When a worker must not compute any more, and what it tries before it gives up."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import openvino as ov
import pytest

from models.compile_cache import CompileCache
from models.detector import Detector
from models.errors import InvalidModelFileError
from models.importer import add_model
from models.registry import DEFAULTS, Registry
from models.runtime import Network, Runtime
from streamproc.providers.model_cache import ModelCache
from streamproc.worker.device_watch import DeviceWatch
from tests.models import faults
from tests.models.networks import own_model, write_bright_spots

DETECT = DEFAULTS["detect"]


@cache
def reference() -> tuple[Runtime, Detector]:
    """What all results are compared with, and a detector that keeps its networks."""
    runtime = Runtime("CPU", "f32")
    return runtime, Detector(runtime, Registry().resolve(DETECT))


@pytest.fixture(scope="module", autouse=True)
def forget_reference(networks: None) -> Iterator[None]:
    yield
    reference.cache_clear()


class Devices:
    """A model cache whose networks fail on the devices of `faulty`, from when they are compiled."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        wish: str = "CPU",
        compiled: CompileCache | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.models = ModelCache(registry or Registry(), compiled)
        self.models._cpu, _ = reference()
        self.wish = wish
        self.faulty: set[str] = set()
        self.n_loads = 0
        compile_of = Runtime._compile

        def compiles(runtime: Runtime, *arguments: object) -> Network:
            network = compile_of(runtime, *arguments)  # type: ignore[arg-type]
            if runtime.device in self.faulty and runtime is not self.models._cpu:
                faults.plant(network, faults.zero)
            return network

        monkeypatch.setattr(Runtime, "_compile", compiles)

    def prepare(self) -> None:
        self.n_loads += 1
        precision = self.models.runtime(self.wish).precision
        self.models.load(DETECT, self.wish, precision)

    @property
    def network(self) -> Network:
        return self.models.runtime(self.wish).networks()[0]


def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenVINO's HETERO device, which computes on the CPU, count as another device."""
    both = property(lambda _: ["HETERO:CPU", "CPU"])
    monkeypatch.setattr(ov.Core, "available_devices", both)


def blobs(directory: Path) -> list[Path]:
    return list(directory.glob("*.blob"))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.01)


async def test_right_devices_are_right_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(monkeypatch)
    watch = DeviceWatch(devices.models)
    assert await watch.until_right(asyncio.Event(), devices.prepare)
    assert (watch.fault, watch.hangs, devices.n_loads) == (None, False, 1)


async def test_a_faulty_device_is_asked_again_until_it_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = Devices(monkeypatch)
    devices.faulty = {"CPU"}
    watch = DeviceWatch(devices.models, every_s=0.1)
    stop = asyncio.Event()
    right = asyncio.create_task(watch.until_right(stop, devices.prepare))
    await until(lambda: watch.fault is not None)
    assert watch.fault is not None
    assert watch.fault.device == "CPU"
    assert DETECT in str(watch.fault)
    assert not right.done()
    devices.faulty = set()
    devices.models.forget(devices.wish)  # as if the driver had been restarted
    assert await right
    assert watch.fault is None


async def test_what_the_compile_cache_has_is_not_trusted_after_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    devices = Devices(monkeypatch, compiled=CompileCache(tmp_path))
    devices.prepare()
    devices.models.forget(devices.wish)
    assert blobs(tmp_path) == [], "forget deletes them"
    devices.prepare()
    faults.plant(devices.network, faults.zero)  # as a damaged file would
    watch = DeviceWatch(devices.models)
    assert await watch.until_right(asyncio.Event(), devices.prepare)
    assert devices.models._avoided == set()


@pytest.mark.parametrize("precision", ["f32", "bf16"])
async def test_the_next_device_is_used_if_it_has_the_same_precision(
    monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    two_devices(monkeypatch)
    devices = Devices(monkeypatch, "AUTO:HETERO:CPU,CPU")
    devices.faulty = {"HETERO:CPU"}
    lacks = precision == "bf16"
    has = {"HETERO:CPU": [precision], "CPU": ["f32"]}
    monkeypatch.setattr(Runtime, "precisions", lambda runtime: has[runtime.device])

    def prepare() -> None:
        devices.models.load(DETECT, devices.wish, precision)

    assert devices.models.runtime(devices.wish).device == "HETERO:CPU"
    watch = DeviceWatch(devices.models, every_s=0.05)
    stop = asyncio.Event()
    right = asyncio.create_task(watch.until_right(stop, prepare))
    if not lacks:
        assert await right
        assert devices.models.runtime(devices.wish).device == "CPU"
        return
    await until(lambda: watch.fault is not None)
    assert devices.models.runtime(devices.wish).device == "HETERO:CPU"
    stop.set()
    assert not await right


async def test_a_device_that_hangs_is_a_fault_and_stopping_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = Devices(monkeypatch)
    devices.prepare()
    release = threading.Event()
    faults.hang(devices.network, release.wait)
    watch = DeviceWatch(devices.models, every_s=0.05, hangs_s=0.2)
    stop = asyncio.Event()
    right = asyncio.create_task(watch.until_right(stop, devices.prepare))
    await until(lambda: watch.hangs)
    stop.set()
    assert not await asyncio.wait_for(right, 30)
    assert "gave no result" in str(watch.fault)
    release.set()


async def test_a_fault_that_comes_later_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(monkeypatch)
    watch = DeviceWatch(devices.models, every_s=0.1)
    assert await watch.until_right(asyncio.Event(), devices.prepare)
    watching = asyncio.create_task(watch.watch())
    faults.plant(devices.network, faults.shifted)
    fault = await asyncio.wait_for(watching, 60)
    assert (fault.device, watch.fault) == ("CPU", fault)


async def test_a_new_network_is_checked_before_the_next_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = Devices(monkeypatch)
    watch = DeviceWatch(devices.models, every_s=3600)
    assert await watch.until_right(asyncio.Event(), devices.prepare)
    devices.faulty = {"CPU"}
    watching = asyncio.create_task(watch.watch())
    detector = devices.models.load(DETECT, devices.wish, devices.models.runtime("CPU").precision)
    assert isinstance(detector, Detector)
    detector._network((320, 320))
    fault = await asyncio.wait_for(watching, 60)
    assert fault.device == "CPU"


def test_a_users_model_that_is_not_finite_is_refused_and_nothing_else_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "own")
    spots = write_bright_spots(tmp_path / "spots.xml")
    own = add_model(registry, own_model(spots, width=64, height=64))
    devices = Devices(monkeypatch, registry=registry)
    precision = devices.models.runtime("CPU").precision
    mine = devices.models.load(own.ref, "CPU", precision)
    faults.plant(devices.network, faults.not_finite)
    assert devices.models.check() is None, "no device is to blame"
    with pytest.raises(InvalidModelFileError, match=f"{own.ref}.*not finite on CPU"):
        devices.models.load(own.ref, "CPU", precision)
    devices.prepare()
    assert devices.models.check() is None
    assert mine.manifest.ref == own.ref
