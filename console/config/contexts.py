"""Contexts: apis by a name, each with its key from a variable, a command or the file."""

import subprocess
import threading
from collections.abc import Mapping

from console.client.endpoint import Endpoint
from console.config.values import Context
from console.errors import ContextError, UnknownContextError
from console.similar_names import did_you_mean

COMMAND_S = 10.0
"""A command that prints a key has to end in this time."""
_MAX_KEY = 4096


def endpoint_named(
    name: str, contexts: Mapping[str, Context], environ: Mapping[str, str]
) -> Endpoint:
    """Return the api of a context; raises `ContextError` if there is none, or it has no key."""
    context = contexts.get(name)
    if context is None:
        hint = did_you_mean(name, contexts) or "; console.toml has none of this name"
        raise UnknownContextError(f"there is no context {name!r}{hint}")
    return endpoint_of(context, environ)


def endpoint_of(context: Context, environ: Mapping[str, str]) -> Endpoint:
    """Return the context's api with its key; raises `ContextError`. The key is never in a message.

    A command runs without a shell and without input, for `COMMAND_S` at most.
    """
    key, admin_key = context.key, None
    if context.key_env:
        key = environ.get(context.key_env, "")
        if not key:
            raise ContextError(f"context {context.name}: {context.key_env} is not set")
    elif context.key_command:
        key = _printed(context, environ)
    if context.admin_key_env:
        admin_key = environ.get(context.admin_key_env) or None
    return Endpoint(context.url, key, admin_key, project=context.project)


def _printed(context: Context, environ: Mapping[str, str]) -> str:
    """Return the first line that the context's command prints."""
    about = f"context {context.name}: the command of its key, {context.key_command[0]},"
    try:
        process = subprocess.Popen(
            context.key_command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as exc:
        raise ContextError(f"{about} cannot be run: {exc.strerror}") from exc
    watch = threading.Timer(COMMAND_S, process.kill)
    watch.start()
    try:
        with process:
            output = b"" if process.stdout is None else process.stdout.read(_MAX_KEY)
    finally:
        watch.cancel()
    lines = output.decode(errors="replace").split("\n")
    if process.returncode or not lines[0].strip():
        code = process.returncode
        what = f"ended with {code}" if code else "printed nothing"
        raise ContextError(f"{about} {what if code >= 0 else 'did not end in time'}")
    return lines[0].strip()
