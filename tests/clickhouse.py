"""ClickHouse over HTTP for tests: chDB's engine in a process of its own, behind the server's API.

No package brings a present ClickHouse server, and chDB is the same engine without the network. So
`python -m tests.clickhouse DIRECTORY PORT` puts as much of the HTTP interface before it as
clickhouse-connect uses: the query in the body or the URL, `param_…`, settings and the database in
the URL, inserts in Native format, errors as 500 with their text.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import chdb
import lz4.frame
import uvicorn
import zstandard

_TRANSPORT = {
    "buffer_size",
    "client_protocol_version",
    "compress",
    "enable_http_compression",
    "http_headers_progress_interval_ms",
    "query_id",
    "send_progress_in_http_headers",
    "session_id",
    "wait_end_of_query",
}
_INSERT = re.compile(rb"\s*(INSERT INTO .+?) FORMAT Native\n", re.DOTALL)
_DECODERS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"": bytes,
    b"lz4": lz4.frame.decompress,
    b"zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}

Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class ClickhouseApp:
    """The ASGI application; one query at a time, each on a session of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._engine = chdb.connect(str(directory))  # keeps the engine open between sessions
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        decode = _DECODERS[dict(scope["headers"]).get(b"content-encoding", b"")]
        given = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        async with self._turn:
            status, answer = await asyncio.to_thread(self._answer, given, decode(body))
        headers = [(b"content-length", b"%d" % len(answer)), (b"x-clickhouse-timezone", b"UTC")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, given: dict[str, str], body: bytes) -> tuple[int, bytes]:
        statement = b"\n".join(part for part in (given.pop("query", "").encode(), body) if part)
        database = given.pop("database", "default")
        params = {
            name.removeprefix("param_"): given.pop(name)
            for name in list(given)
            if name.startswith("param_")
        }
        session = chdb.connect(str(self._directory))
        try:
            session.query(f"USE {_quoted(database, '`')}")
            for name, value in given.items():
                if name not in _TRANSPORT:
                    session.query(f"SET {name} = {_quoted(value, chr(39))}")
            return 200, self._run(session, statement, params)
        except RuntimeError as exc:
            return 500, str(exc).encode()
        finally:
            session.close()

    @staticmethod
    def _run(session: Any, statement: bytes, params: dict[str, str]) -> bytes:
        insert = _INSERT.match(statement)
        if insert is None:
            answer: bytes = session.query(statement.decode(), "TabSeparated", params=params).bytes()
            return answer
        with tempfile.NamedTemporaryFile(suffix=".native") as rows:
            rows.write(statement[insert.end() :])
            rows.flush()
            session.query(f"{insert[1].decode()} FROM INFILE '{rows.name}' FORMAT Native")
        return b""


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


if __name__ == "__main__":
    uvicorn.run(ClickhouseApp(Path(sys.argv[1])), port=int(sys.argv[2]), log_level="warning")
