"""Labels of sources: short, bounded, and without secrets."""

import pytest

from streamproc.contract.source_label import MAX_NAME, MAX_URL, public_url, short_name
from streamproc.contract.task_spec import SourceRef


@pytest.mark.parametrize(
    ("url", "shown", "name"),
    [
        ("https://a.example/x/gate%203.mp4", "https://a.example/x/gate%203.mp4", "gate 3.mp4"),
        (
            "https://user:pw@a.example/gate.mp4?token=secret#secret",
            "https://***@a.example/gate.mp4?token=***#***",
            "gate.mp4",
        ),
        ("https://user:pw@a.example/", "https://***@a.example/", "a.example"),
        ("https://user:pw@a.example/?secret", "https://***@a.example/?***", "a.example"),
        ("file:///data/clips/gate-3.mp4", "file:///data/clips/gate-3.mp4", "gate-3.mp4"),
        (
            "rtsp://user:pw@10.0.0.7:554/axis-media/media.amp?key=k",
            "rtsp://***@10.0.0.7:554/axis-media/media.amp?key=***",
            "10.0.0.7:554/axis-media/media.amp",
        ),
        ("rtsp://gate.example/", "rtsp://gate.example/", "gate.example"),
        ("camera:gate", "camera:gate", "gate"),
        ("https://[bad/x", "https://[bad/x", "https://[bad/x"),
    ],
)
def test_a_source_has_a_url_and_a_name(url: str, shown: str, name: str) -> None:
    assert public_url(SourceRef(url=url)) == shown
    assert short_name(shown) == name


def test_an_upload_is_called_so() -> None:
    assert public_url(SourceRef(object_key="p/t/upload")) == "upload"
    assert short_name("upload") == "upload"


def test_labels_are_bounded() -> None:
    url = public_url(SourceRef(url=f"https://a.example/{'x' * 8000}"))
    assert len(url) == MAX_URL
    assert len(short_name(url)) == MAX_NAME
