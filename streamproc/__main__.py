"""Roles of the stream processor: `python -m streamproc ROLE [options]`."""

import importlib
import sys

ROLES = {
    "worker": ("streamproc.agents.worker", "main"),
    "archive": ("streamproc.sinks.archive_role", "main"),
    "index": ("streamproc.sinks.index_role", "main"),
    "reindex": ("streamproc.sinks.reindex", "main"),
    "verify": ("streamproc.sinks.verify", "main"),
    "frame": ("streamproc.frame", "main"),
    "sandbox": ("streamproc.source.probe", "main"),
    "broker": ("streamproc.broker.commands", "broker_main"),
    "bucket": ("streamproc.store.bucket", "main"),
    "topics": ("streamproc.broker.commands", "topics_main"),
}


def main(argv: list[str] | None = None) -> int:
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] not in ROLES:
        sys.stderr.write(f"usage: python -m streamproc {{{'|'.join(ROLES)}}} [options]\n")
        return 2
    module, function = ROLES[args[0]]
    result: int = getattr(importlib.import_module(module), function)(args[1:])
    return result


if __name__ == "__main__":
    sys.exit(main())
