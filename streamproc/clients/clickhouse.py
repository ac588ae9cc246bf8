"""Clients of ClickHouse, a server or chDB in this process, from one URL."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from urllib3.exceptions import HTTPError

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError

_log = structlog.get_logger("framewire.clickhouse")

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 60  # far below max.poll.interval.ms: a hung server must not end the membership

ClientFactory = Callable[[], Any]


def client_options(
    url: str,
    *,
    connect_timeout_s: int = CONNECT_TIMEOUT_S,
    answer_timeout_s: int = ANSWER_TIMEOUT_S,
) -> dict[str, Any]:
    """Return the keyword arguments of `clickhouse_connect.get_client` for `url`.

    `chdb:///path[?database=name]` is the engine in this process, one path for all its clients;
    `http(s)://user:password@host:port/database` is a server. Raises `SettingError` on any other
    URL; the message does not show it.
    """
    parts = urlsplit(url)
    if parts.scheme == "chdb" and parts.path and not parts.netloc:
        database = parse_qs(parts.query).get("database", ["default"])[0]
        return {"interface": "chdb", "path": unquote(parts.path), "database": database}
    if parts.scheme in {"http", "https"} and parts.hostname:
        return {
            "interface": parts.scheme,
            "host": parts.hostname,
            "port": parts.port or (8443 if parts.scheme == "https" else 8123),
            "username": unquote(parts.username or "default"),
            "password": unquote(parts.password or ""),
            "database": unquote(parts.path.strip("/")) or "default",
            "autogenerate_session_id": False,
            "connect_timeout": connect_timeout_s,
            "send_receive_timeout": answer_timeout_s,
        }
    raise SettingError(
        f"{env.CLICKHOUSE} is chdb:///path[?database=name] or http(s)://user@host:port/database"
    )


def client_factory(url: str) -> ClientFactory:
    """Return a function that opens a client; it creates a server's database if missing."""
    options = client_options(url)

    def connect() -> Any:
        try:
            return clickhouse_connect.get_client(**options)
        except DatabaseError as exc:
            if exc.name != "UNKNOWN_DATABASE":
                raise
        database = {"db": options["database"]}
        with clickhouse_connect.get_client(**{**options, "database": "default"}) as first:
            first.command("CREATE DATABASE IF NOT EXISTS {db:Identifier}", database)
            return clickhouse_connect.get_client(**options)

    return connect


def close_failed(client: Any | None) -> None:
    """Close a failed client, if any; an error of the close is ignored."""
    if client is None:
        return
    try:
        client.close()
    except (ClickHouseError, HTTPError, OSError):
        _log.debug("the failed client did not close")
