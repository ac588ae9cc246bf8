"""Bootstrap of the project `default` of an embedded stack, with a valid key."""

import time

from console.client import calls
from console.client.sync_client import Client
from console.errors import ApiProblem, ConsoleError

PROJECT = "default"
_PAUSE_S = 0.2


def open_project(
    url: str, admin_key: str, known_key: str | None, *, deadline_s: float
) -> tuple[str, str]:
    """Return the project's id and a key: the known key if it is valid, else a new one.

    Creates the project if it does not exist. Raises `ConsoleError` if the api gives no key before
    the deadline, or rejects a request (status below 500).
    """
    give_up_s = time.monotonic() + deadline_s
    while True:
        try:
            return PROJECT, _working_key(url, admin_key, known_key)
        except ConsoleError as exc:
            passing = not isinstance(exc, ApiProblem) or exc.status >= 500
            if not passing or time.monotonic() >= give_up_s:
                raise
        time.sleep(_PAUSE_S)


def _working_key(url: str, admin_key: str, known_key: str | None) -> str:
    if known_key is not None:
        with Client(url, known_key) as client:
            try:
                client.send(calls.tasks(limit=1))
            except ApiProblem as exc:
                if exc.status != 401:
                    raise
            else:
                return known_key
    with Client(url, admin_key) as client:
        try:
            client.send(calls.create_project(PROJECT, project_id=PROJECT))
        except ApiProblem as exc:
            if exc.status != 409:
                raise
        created = client.send(calls.create_key(PROJECT, name="embedded stack"))
    if not isinstance(created.key, str):
        raise ConsoleError("the api made a project key and did not say it")
    return created.key
