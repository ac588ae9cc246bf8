"""Input and output of commands: tables, JSON, notes, and clients of the api."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import click
import msgspec

from console.cli.table_text import table_lines
from console.client.calls import Call
from console.client.endpoint import Endpoint
from console.client.http import auth_headers, call_headers
from console.client.slow_answers import SLOW_S
from console.client.sync_client import Client
from console.errors import DeniedError, UnreachableError
from console.printable import echo, echo_json, printable_json
from console.stack.discovery import discover
from streamproc.contract.masking import mask_request

T = TypeVar("T")
_SHOWN_DATA = 48  # characters of base64 that --show-request prints


class Terminal:
    """One command's input and output. stdout has only results, stderr everything else."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        show_request: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.as_json = as_json
        self._show_request = show_request
        self._environ = os.environ if environ is None else environ

    @cached_property
    def endpoint(self) -> Endpoint:
        """The api to use; raises `UnreachableError` if none is known.

        With --show-request an unknown api is http://127.0.0.1:8080.
        """
        try:
            return discover(self._environ)
        except UnreachableError:
            if self._show_request:
                return Endpoint("http://127.0.0.1:8080", "")
            raise

    @property
    def is_watched(self) -> bool:
        """Whether stderr is a terminal."""
        return sys.stderr.isatty()

    def client(self, *, admin: bool = False) -> Client:
        """Return a client with the project's or the operator's key; the caller closes it."""
        return Client(self.endpoint.url, self._key(admin=admin), on_slow=self._tell_of_waiting)

    def send_as_keeper(self, call: Call[T]) -> T:
        """Send a call about keys: with the operator's key if it is known, else the project's.

        A project's key with the scope `admin:project` may make such calls for its own project.
        """
        knows_project_alone = self.endpoint.admin_key is None and bool(self.endpoint.key)
        return self.send(call, admin=not knows_project_alone)

    def send(self, call: Call[T], *, admin: bool = False) -> T:
        """Send one call. With --show-request, print it instead and end the command."""
        self.preview(call, admin=admin)
        with self.client(admin=admin) as client:
            return client.send(call)

    def preview(self, call: Call[Any], *, admin: bool = False) -> None:
        """With --show-request, print the request and end the command."""
        if self._show_request:
            self._print_request(call, admin=admin)

    def show(self, value: Any) -> None:
        """Print a value as one line of JSON."""
        echo_json(msgspec.json.encode(value))

    def table(
        self, headers: Sequence[str], rows: Sequence[Sequence[object]], *, exact: bool = False
    ) -> None:
        """Print aligned columns (`table_lines`); on a terminal an empty table says so."""
        style = {"bold": True} if sys.stdout.isatty() else {}
        header, *lines = table_lines(headers, rows, exact=exact) if headers else [""]
        click.echo(click.style(header, **style) if style else header)
        for line in lines:
            click.echo(line)
        if not lines:
            self.note("nothing found")

    def note(self, text: str) -> None:
        """Print to stderr if it is a terminal, else nothing."""
        if self.is_watched:
            echo(text, err=True)

    def _tell_of_waiting(self) -> None:
        text = f"the api has not answered for {SLOW_S:g} s; waiting …"
        if self.as_json:
            click.echo(json.dumps({"notice": text}, ensure_ascii=False), err=True)
        else:
            echo(f"framewire: {text}", err=True)

    def _key(self, *, admin: bool) -> str:
        if not admin:
            return self.endpoint.key
        if self.endpoint.admin_key is None and not self._show_request:
            raise DeniedError("this needs the operator's key: set FRAMEWIRE_ADMIN_KEY")
        return self.endpoint.admin_key or ""

    def _print_request(self, call: Call[Any], *, admin: bool) -> NoReturn:
        headers = auth_headers(_masked(self._key(admin=admin))) | call_headers(call)
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        body = _shortened(call.body)
        url = self.endpoint.url + call.target
        if self.as_json:
            self.show({"method": call.method, "url": url, "headers": headers, "body": body})
        else:
            echo(f"{call.method} {url}")
            for name, value in headers.items():
                echo(f"{name}: {value}")
            if body is not None:
                echo(printable_json(f"\n{json.dumps(body, indent=2, ensure_ascii=False)}"))
        raise click.exceptions.Exit(0)


def _masked(key: str) -> str:
    return f"{key[:6]}…" if key else "$FRAMEWIRE_KEY"


def _shortened(body: Any) -> Any:
    """Return the body with shortened base64 data and without credentials in URLs."""
    if not isinstance(body, dict) or "input" not in body:
        return body
    body = mask_request(body)
    items = [
        item | {"data": f"{item['data'][:_SHOWN_DATA]}… ({len(item['data'])} characters)"}
        if len(item.get("data", "")) > _SHOWN_DATA
        else item
        for item in body["input"]
    ]
    return body | {"input": items}
