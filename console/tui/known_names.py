"""Names that `console.toml` may use, as this console has them."""

from api.contract.tasks import STATUSES
from console.config.values import Known
from console.tui.drawing.themes import THEMES
from console.tui.keys import ACTIONS
from console.tui.view_models.task_list import SORT_KEYS, WINDOWS
from console.tui.view_models.track_search import COLUMNS as TRACK_COLUMNS
from console.tui.widgets.task_rendering import COLUMNS as TASK_COLUMNS

COLUMNS = {
    "tasks": tuple(column.key for column in TASK_COLUMNS),
    "tracks": tuple(column.key for column in TRACK_COLUMNS),
}
KNOWN = Known(
    themes=tuple(theme.name for theme in THEMES),
    keys=tuple(ACTIONS),
    columns=COLUMNS,
    tabs=tuple(COLUMNS),
    windows=tuple(WINDOWS),
    sorts=SORT_KEYS,
    statuses=STATUSES,
)
