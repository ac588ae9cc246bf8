"""A call as a curl command that can be pasted into a shell. Pure."""

import json
import shlex
from pathlib import Path
from typing import Any

from console.client.calls import Call

_DATA = "@@framewire-data@@"


def curl(call: Call[Any], url: str, *, upload: Path | None = None, stream: bool = False) -> str:
    """Return the curl command; the shell expands the key from `$FRAMEWIRE_KEY`.

    With `upload`, the shell inserts that file, as base64, as the body's `data`.
    """
    parts = ["curl -sS" + ("N" if stream else "")]
    if call.method not in {"GET", "POST"} or (call.method == "POST" and call.body is None):
        parts[0] += f" -X {call.method}"
    parts[0] += " " + shlex.quote(url.rstrip("/") + call.target)
    parts.append('-H "Authorization: Bearer $FRAMEWIRE_KEY"')
    if call.body is not None:
        parts.append("-H 'Content-Type: application/json'")
        parts.append(_data_option(call.body, upload))
    return " \\\n  ".join(parts)


def _data_option(body: Any, upload: Path | None) -> str:
    if upload is None:
        return "-d " + shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))
    item = body["input"][0] | {"data": _DATA}
    text = json.dumps(body | {"input": [item]}, ensure_ascii=False, indent=2)
    before, _, after = text.partition(_DATA)
    read = f'"$(base64 -w0 {shlex.quote(str(upload))})"'
    return f"-d @- <<<{shlex.quote(before)}{read}{shlex.quote(after)}"
