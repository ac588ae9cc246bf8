from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from models.batching import batches
from models.embedding import FeatureExtractor, digest
from models.errors import InvalidManifestError
from models.registry import Registry
from models.runtime import Runtime
from models.types import Floats, Image

# Three pedestrians of the first frame.
BOXES_PX = np.array([[500, 158, 530, 234], [640, 239, 684, 324], [251, 220, 283, 309]], np.float32)


def cosines(a: Floats, b: Floats) -> Floats:
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return np.asarray(a @ b.T, np.float32)


def test_each_box_gets_its_vector(extractor: FeatureExtractor, street_frames: list[Image]) -> None:
    vectors = extractor.extract(street_frames[0], BOXES_PX)
    assert vectors.shape == (3, 512)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert extractor.extract(street_frames[0], BOXES_PX[:0]).shape == (0, 512)


def test_a_shifted_box_is_more_alike_than_another_person(
    extractor: FeatureExtractor, street_frames: list[Image]
) -> None:
    vectors = extractor.extract(street_frames[0], BOXES_PX)
    shifted = extractor.extract(street_frames[0], BOXES_PX + np.float32(2))
    assert cosines(vectors, shifted).argmax(axis=1).tolist() == [0, 1, 2]


def test_a_vector_hardly_depends_on_its_batch(
    extractor: FeatureExtractor, street_frames: list[Image]
) -> None:
    many = np.concatenate([BOXES_PX] * 5)
    together = extractor.extract(street_frames[0], many)
    alone = extractor.extract(street_frames[0], BOXES_PX)
    assert cosines(together, alone)[np.arange(15), np.arange(15) % 3].min() > 0.999


def test_four_threads_extract_what_one_extracts(
    extractor: FeatureExtractor, street_frames: list[Image]
) -> None:
    alone = [extractor.extract(frame, BOXES_PX) for frame in street_frames]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda i: extractor.extract(street_frames[i % 3], BOXES_PX), range(12))
        )
    assert all(np.array_equal(vectors, alone[i % 3]) for i, vectors in enumerate(found))


def test_f32_matches_the_network_run_by_hand(
    networks: None, runtime: Runtime, registry: Registry, street_frames: list[Image]
) -> None:
    """The graph's additions (u8 input, channel order, normalisation) against numpy on the IR."""
    import openvino as ov

    manifest = registry.resolve("feature")
    left, top, right, bottom = BOXES_PX[0].astype(int)
    crop = cv2.resize(street_frames[0][top:bottom, left:right], (128, 256))
    rgb = crop[..., ::-1].astype(np.float32) / 255
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    blob = ((rgb - mean) / deviation).astype(np.float32).transpose(2, 0, 1)[None]
    path = manifest.directory / manifest.file("network").path
    plain = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = plain(blob)[0]
    found = FeatureExtractor(runtime, manifest, "f32").extract(street_frames[0], BOXES_PX[:1])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_digest_states_size_and_length() -> None:
    assert digest(np.array([3, 4], np.float32)) == "dim=2;norm=5.0000"
    assert digest(np.full(512, 0.62767, np.float32)) == "dim=512;norm=14.2026"


def test_batches_are_of_few_sizes_and_keep_the_order() -> None:
    sizes = [len(batch) for batch in batches(range(29))]
    assert sizes == [8, 8, 8, 4, 1]
    assert [i for batch in batches(range(29)) for i in batch] == list(range(29))
    assert list(batches([])) == []


def test_only_feature_models_extract(runtime: Runtime, registry: Registry) -> None:
    with pytest.raises(InvalidManifestError, match="no feature model"):
        FeatureExtractor(runtime, registry.resolve("detect"))
