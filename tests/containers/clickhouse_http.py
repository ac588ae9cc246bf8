"""ClickHouse's HTTP interface over chDB, as far as clickhouse-connect uses it.

A stand-in for the server of compose.yaml where no image of it can be had: the engine is the same,
the way in is this. A query is in the URL or the body, its parameters and settings in the URL; the
data of an INSERT follows its first line. Every request has a session of its own.

    python -m tests.containers.clickhouse_http DIRECTORY HOST PORT
"""

import re
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

_INSERT = re.compile(r"\s*INSERT\s+INTO\s", re.IGNORECASE)
_FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")
# What the HTTP interface of a server takes for itself.
_OF_THE_TRANSPORT = frozenset(
    {
        *("session_id", "session_timeout", "session_check", "query_id", "quota_key", "role"),
        *("compress", "decompress", "enable_http_compression", "buffer_size"),
        *("wait_end_of_query", "client_protocol_version", "send_progress_in_http_headers"),
        "http_headers_progress_interval_ms",
    }
)


class Handler(BaseHTTPRequestHandler):
    """Answers one client's requests, one after another."""

    protocol_version = "HTTP/1.1"
    directory: str

    def log_message(self, *_: Any) -> None:
        """Queries are the caller's business."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n")
        else:
            self._query()

    def do_POST(self) -> None:
        self._query()

    def _query(self) -> None:
        told = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        try:
            answer = self._answer(told, body)
        except RuntimeError as exc:
            text = str(exc)
            code = _CODE.search(text)
            text = text[text.find("Code: ") :] if code else text
            self._send(
                500, text.encode(), **{"X-ClickHouse-Exception-Code": code[1] if code else "1"}
            )
        else:
            self._send(200, answer)

    def _answer(self, told: dict[str, str], body: bytes) -> bytes:
        query, database = told.pop("query", ""), told.pop("database", "default")
        parameters = {k[6:]: told.pop(k) for k in [*told] if k.startswith("param_")}
        settings = {k: v for k, v in told.items() if k not in _OF_THE_TRANSPORT}
        session = chdb.connect(self.directory)
        try:
            session.query(f"USE `{database}`")
            for name, value in settings.items():
                session.query(f"SET {name} = '{value}'")
            head, _, data = (query.encode() + b"\n" + body if query else body).partition(b"\n")
            if data and _INSERT.match(head.decode()) and _FORMAT.search(head.decode()):
                return self._insert(session, head.decode(), data)
            sql = query + body.decode()
            asked = _FORMAT.search(sql)
            sql = _FORMAT.sub("", sql)
            return bytes(
                session.query(sql, asked[1] if asked else "TabSeparated", params=parameters).bytes()
            )
        finally:
            session.close()

    @staticmethod
    def _insert(session: Any, query: str, data: bytes) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            session.query(_FORMAT.sub(rf" FROM INFILE '{file.name}' FORMAT \1", query))
        return b""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(pieces)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "lz4":
            body = lz4.frame.decompress(body)
        return body

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"X-ClickHouse-Summary": "{}", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(directory: str, host: str, port: str) -> None:
    Path(directory).mkdir(parents=True, exist_ok=True)
    keeper = chdb.connect(directory)  # the engine lives as long as a session is open
    Handler.directory = directory
    with ThreadingHTTPServer((host, int(port)), Handler) as server:
        server.serve_forever()
    keeper.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
