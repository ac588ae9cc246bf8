"""Real networks on real frames: compiled once for the whole run."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.detector import Detector
from models.embedding import FeatureExtractor
from models.ocr import TextReader
from models.registry import Registry
from models.runtime import Runtime
from models.types import Image

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="session")
def detector(networks: None, runtime: Runtime, registry: Registry) -> Detector:
    return Detector(runtime, registry.resolve("detect"))


@pytest.fixture(scope="session")
def reader(networks: None, runtime: Runtime, registry: Registry) -> TextReader:
    return TextReader(runtime, registry.resolve("ocr"))


@pytest.fixture(scope="session")
def extractor(networks: None, runtime: Runtime, registry: Registry) -> FeatureExtractor:
    return FeatureExtractor(runtime, registry.resolve("feature"))


@pytest.fixture(scope="session")
def street_frames() -> list[Image]:
    """Three frames of a street with pedestrians, 768 x 576."""
    paths = sorted(DATA.glob("vtest_*.jpg"))
    frames = [cv2.imread(str(path)) for path in paths]
    assert len(frames) == 3
    return [np.asarray(frame, np.uint8) for frame in frames]
