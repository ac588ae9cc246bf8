"""Made-up queries and tasks, drawn from few letters so that many of them match."""

from typing import Any

from hypothesis import strategies as st

from api.contract.query.parser import MAX_TRACK, MAX_VALUES
from api.contract.query.tasks import STEPS, TASKS
from api.contract.query.terms import (
    Among,
    Compare,
    Field,
    Like,
    Query,
    Regex,
    Term,
    Vocabulary,
    Word,
)
from api.contract.tasks import STATUSES
from streamproc.contract.tables import TASK_ID_PREFIX

LETTERS = "abAB%_\\'\"*?, :-<>~{}äÄ/.\u00a0漢"
"""Letters that SQL, LIKE, the language or its parameters could take for something else."""

texts = st.text(LETTERS, min_size=1, max_size=5)
numbers = st.one_of(
    st.integers(0, 10**9).map(float),
    st.floats(0, 1000).map(lambda x: round(x, 6)),
)


def terms(vocabulary: Vocabulary) -> st.SearchStrategy[Term]:
    """Every term that a text of the vocabulary can mean."""
    by_field = [_of_field(field) for field in vocabulary.fields]
    likes = st.builds(Like, st.just(f"{TASK_ID_PREFIX}01"), st.integers(0, MAX_TRACK))
    words = st.builds(Word, texts.filter(str.strip), st.booleans())
    return st.one_of(words, *by_field, *((likes,) if vocabulary.has_like else ()))


def queries(vocabulary: Vocabulary, max_size: int = 5) -> st.SearchStrategy[Query]:
    def one_like(found: list[Term]) -> bool:
        return sum(isinstance(term, Like) for term in found) < 2

    lists = st.lists(terms(vocabulary), max_size=max_size)
    return lists.filter(one_like).map(lambda found: Query(tuple(found)))


def _of_field(field: Field) -> st.SearchStrategy[Term]:
    name = st.just(field.name)
    negated = st.booleans()
    if field.kind in {"choice", "text"}:
        values = st.sampled_from(field.choices) if field.choices else texts
        among = st.builds(
            Among, name, st.lists(values, min_size=1, max_size=MAX_VALUES).map(tuple), negated
        )
        if not field.has_regex:
            return among
        return st.one_of(among, st.builds(Regex, name, texts, negated))
    shares = st.floats(0, 1).map(lambda x: round(x, 6))
    number = shares if field.kind == "fraction" else numbers
    return st.builds(Compare, name, st.sampled_from(["<", "<=", ">", ">="]), number, negated)


def task_changes() -> st.SearchStrategy[dict[str, Any]]:
    """Columns of a task's row, in few different values."""
    base_ms = 1_769_860_800_000
    moments = st.integers(base_ms, base_ms + 20_000)
    names = st.text(LETTERS, max_size=6)
    return st.fixed_dictionaries(
        {
            "created_ms": moments,
            "status": st.sampled_from([s for s in STATUSES if s != "cancelling"]),
            "started_ms": st.none() | moments,
            "finished_ms": st.none() | moments,
            "model": st.none() | names,
            "provider": st.none() | names,
            "steps": st.lists(st.sampled_from(STEPS), max_size=3).map(tuple),
            "models": st.lists(names, max_size=2).map(tuple),
            "source": names,
            "source_url": names,
            "source_name": names,
            "processed_frames": st.integers(0, 5),
            "expected_frames": st.none() | st.integers(0, 5),
            "error_code": st.none() | names,
            "error_message": st.none() | names,
        }
    )


def small_terms() -> st.SearchStrategy[Term]:
    """Terms of task lists whose numbers are near those of `task_changes`."""
    near = st.builds(
        Compare,
        st.sampled_from([f.name for f in TASKS.fields if f.kind in {"number", "duration"}]),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.integers(0, 20).map(float),
        st.booleans(),
    )
    return st.one_of(near, terms(TASKS))
