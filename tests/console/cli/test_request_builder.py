import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.contract.requests import ProcessRequest
from console.cli.request_builder import RequestWords, build_request, parse_when
from console.client.video_input import MAX_UPLOAD_BYTES, video_input
from console.errors import RequestWordsError

VIDEO = {"type": "video_url", "url": "https://example.com/clip.mp4"}


def request(**words: Any) -> dict[str, Any]:
    body = build_request(VIDEO, RequestWords(**words))
    msgspec.convert(body, ProcessRequest)
    return body


def test_the_reference_request_in_words() -> None:
    body = request(detect=("pedestrian",), feature=True, fps=5.0, start=0.0, end=30.0,
                   max_frames=300, model="qwen-vl-max")  # fmt: skip
    assert body == {
        "input": [
            {
                "type": "video_url",
                "url": "https://example.com/clip.mp4",
                "sampling": {"mode": "fps", "value": 5},
                "range": {"start": 0, "end": 30, "unit": "seconds"},
                "max_frames": 300,
            }
        ],
        "steps": [
            {"model": "detect", "parameters": {"classes": ["pedestrian"]}},
            {"model": "feature"},
        ],
        "model": "qwen-vl-max",
    }


def test_a_live_source_has_its_options() -> None:
    asked = request(
        transport="udp",
        on_loss="conceal",
        max_lag=0.5,
        give_up=600.0,
        retention_days=0,
        record=3600,
    )["input"][0]
    assert asked["live"] == {
        "transport": "udp",
        "on_loss": "conceal",
        "max_lag_s": 0.5,
        "give_up_s": 600,
        "retention_days": 0,
        "record": {"retention_s": 3600},
    }
    assert video_input("rtmp://a/b/c", ())["url"] == "rtmp://a/b/c"
    assert video_input("camera:gate", ()) == {"type": "video_url", "url": "camera:gate"}


def test_nothing_asked_is_detect_all() -> None:
    assert request() == {"input": [VIDEO], "steps": [{"model": "detect"}]}
    assert request(detect=("all",)) == request()


def test_classes_may_be_repeated_or_listed() -> None:
    steps = request(detect=("pedestrian,automobile", "bus"), threshold=0.5)["steps"]
    classes = ["pedestrian", "automobile", "bus"]
    assert steps == [{"model": "detect", "parameters": {"classes": classes, "threshold": 0.5}}]


def test_ocr_alone_reads_whole_frames() -> None:
    assert request(ocr=True)["steps"] == [{"model": "ocr"}]


def test_when_restricts_its_step() -> None:
    steps = request(
        detect=("all",),
        ocr=True,
        include_vector=True,
        when=("ocr:class_is=automobile,truck;min_confidence=.7", "feature:min_confidence=0.9"),
    )["steps"]
    assert [step["model"] for step in steps] == ["detect", "ocr", "feature"]
    assert steps[1]["when"] == {"class_is": ["automobile", "truck"], "min_confidence": 0.7}
    assert steps[2] == {
        "model": "feature",
        "parameters": {"include_vector": True},
        "when": {"min_confidence": 0.9},
    }


@pytest.mark.parametrize(
    "text",
    ["", "ocr", "read:class_is=a", "ocr:", "ocr:colour=red", "ocr:min_confidence=much"],
)
def test_a_wrong_condition_is_refused(text: str) -> None:
    with pytest.raises(RequestWordsError, match="--when"):
        parse_when(text)


@pytest.mark.parametrize(
    "words",
    [
        {"fps": 1.0, "keyframes": True},
        {"fps": 1.0, "interval": 2},
        {"steps": "[]", "ocr": True},
        {"steps": "not json"},
        {"steps": "{}"},
        {"when": ("ocr:min_confidence=.5",)},
    ],
)
def test_words_that_contradict_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(RequestWordsError):
        build_request(VIDEO, RequestWords(**words))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("name", ["fps", "start", "end", "threshold"])
def test_a_number_that_json_does_not_have_is_refused(name: str, value: float) -> None:
    words: dict[str, Any] = {name: value}
    with pytest.raises(RequestWordsError, match="finite"):
        build_request({}, RequestWords(**words))


def test_steps_as_json_stand_as_they_are() -> None:
    assert request(steps='[{"model": "nanodet-g@1.0.0"}]')["steps"] == [
        {"model": "nanodet-g@1.0.0"}
    ]


def test_a_file_below_a_root_is_named_and_another_is_sent(tmp_path: Path) -> None:
    clip = tmp_path / "a clip.mp4"
    clip.write_bytes(b"moving pictures")
    named = video_input(str(clip), [tmp_path])
    assert named == {"type": "video_url", "url": clip.as_uri()}
    sent = video_input(str(clip), [tmp_path / "elsewhere"])
    assert base64.b64decode(sent["data"]) == b"moving pictures"


def test_a_link_out_of_a_root_is_sent(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"x")
    link = tmp_path / "root" / "link.mp4"
    link.symlink_to(tmp_path / "secret.mp4")
    assert video_input(str(link), [tmp_path / "root"])["type"] == "video_base64"


def test_a_file_too_large_to_send_says_what_to_do(tmp_path: Path) -> None:
    clip = tmp_path / "long.mp4"
    with clip.open("wb") as file:
        file.truncate(MAX_UPLOAD_BYTES + 1)
    with pytest.raises(RequestWordsError, match=r"64 MiB.*--file-root"):
        video_input(str(clip), [])


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(RequestWordsError) as raised:
        video_input(str(tmp_path / "none.mp4"), [])
    assert raised.value.exit_code == 2
