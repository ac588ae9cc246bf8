"""The public URL paths, as in the reference and in `docs/api.md`."""

PROCESS = "/v1/video/process"
TASKS = "/v1/video/tasks"
TRACKS = "/v1/video/tracks"
MODELS = "/v1/models"
SYSTEM = "/v1/system"
SYSTEM_HISTORY = "/v1/system/history"
SYSTEM_FAILURES = "/v1/system/failures"
PROJECTS = "/v1/admin/projects"
AUDIT = "/v1/admin/audit"
KEYS = "/v1/admin/keys"
USAGE = "/v1/admin/usage"
ADMIN_MODELS = "/v1/admin/models"


def task(task_id: str) -> str:
    return f"{TASKS}/{task_id}"


def stream(task_id: str) -> str:
    return f"{TASKS}/{task_id}/stream"


def frame(task_id: str, index: int | str) -> str:
    return f"{TASKS}/{task_id}/frames/{index}.jpg"


def model_tasks(model: str) -> str:
    return f"{ADMIN_MODELS}/{model}/tasks"


def results(task_id: str) -> str:
    return f"{TASKS}/{task_id}/results"
