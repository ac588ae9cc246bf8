"""What two requests have that differs."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.comparison.requests import MAX_CHANGES, request_changes, value_text

REQUEST: dict[str, Any] = {
    "input": [
        {"type": "video_url", "url": "file:///a.mp4", "sampling": {"mode": "fps", "value": 2}}
    ],
    "steps": [{"model": "detect", "parameters": {"classes": ["person"]}}, {"model": "feature"}],
}
JSON = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=12,
)
REQUESTS = st.dictionaries(st.text("abc", min_size=1, max_size=2), JSON, max_size=4)


def test_each_field_that_differs_has_both_values() -> None:
    other: dict[str, Any] = {
        "input": [{"type": "video_url", "url": "file:///a.mp4", "sampling": {"mode": "keyframe"}}],
        "steps": [{"model": "detect", "parameters": {"classes": ["car", "bus"]}}],
        "precision": "f32",
    }
    found = [
        (one.field, value_text(one.a), value_text(one.b)) for one in request_changes(REQUEST, other)
    ]
    assert found == [
        ("input[0].sampling.mode", "fps", "keyframe"),
        ("input[0].sampling.value", "2", "-"),
        ("steps[0].parameters.classes", '["person"]', '["car","bus"]'),
        ("steps[1]", '{"model":"feature"}', "-"),
        ("precision", "-", "f32"),
    ]  # fmt: skip


@given(REQUESTS, REQUESTS)
def test_equal_requests_alone_have_no_change(a: Any, b: Any) -> None:
    assert request_changes(a, a) == ()
    forth, back = request_changes(a, b), request_changes(b, a)
    assert bool(forth) == (a != b)
    assert sorted(one.field for one in forth) == sorted(one.field for one in back)
    by_field = {one.field: one for one in back}
    assert all((by_field[one.field].b, by_field[one.field].a) == (one.a, one.b) for one in forth)


def test_what_is_told_is_bounded() -> None:
    a = {f"field {n}": n for n in range(MAX_CHANGES + 5)}
    assert len(request_changes(a, {})) == MAX_CHANGES
    deep_a: Any = 1
    deep_b: Any = 2
    for _ in range(200):
        deep_a, deep_b = {"x": deep_a}, {"x": deep_b}
    (change,) = request_changes(deep_a, deep_b)
    assert len(value_text(change.a)) <= 40
