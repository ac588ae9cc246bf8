"""Fields of track lists in the query language.

`dwell` is in seconds, `age` is that of the track's task, `source` the task's. `class` is equal to a
value: `person` also finds `pedestrian`. A word is looked for in class, text and task id.
"""

from api.contract.query.terms import Field, Vocabulary

TRACKS = Vocabulary(
    fields=(
        Field("class", "text", is_exact=True),
        Field("text", "text", has_regex=True),
        Field("source", "text"),
        Field("task", "text"),
        Field("dwell", "duration"),
        Field("confidence", "fraction"),
        Field("frames", "number"),
        Field("age", "duration"),
    ),
    has_like=True,
)
