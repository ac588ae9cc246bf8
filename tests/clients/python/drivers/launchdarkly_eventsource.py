from typing import Any

from ld_eventsource import SSEClient
from ld_eventsource.actions import Event, Fault
from ld_eventsource.config import ErrorStrategy, RetryDelayStrategy
from ld_eventsource.errors import HTTPStatusError


def follow(task: Any) -> None:
    client = SSEClient(
        task.url,
        initial_retry_delay=0.2,
        retry_delay_strategy=RetryDelayStrategy.default(max_delay=1),
        error_strategy=ErrorStrategy.always_continue(),
    )
    for action in client.all:
        if isinstance(action, Event) and task.take(action.last_event_id, action.data):
            break
        refused = isinstance(action, Fault) and isinstance(action.error, HTTPStatusError)
        if refused and action.error.status == 204:
            break
    client.close()
