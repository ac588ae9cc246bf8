"""Command-line entry point: `python -m streamproc ROLE [options]` runs one role."""

import importlib
import sys

ROLES = {
    "worker": ("streamproc.worker.process", "main"),
    "archive": ("streamproc.sinks.archive.consumer", "main"),
    "index": ("streamproc.sinks.index.consumer", "main"),
    "reindex": ("streamproc.sinks.maintenance.reindex", "main"),
    "verify": ("streamproc.sinks.maintenance.verify", "main"),
    "frame": ("streamproc.preview", "main"),
    "sources": ("streamproc.source.live_source.commands", "main"),
    "sandbox": ("streamproc.source.sandbox.self_test", "main"),
    "broker": ("streamproc.embedded_kafka.commands", "broker_main"),
    "bucket": ("streamproc.clients.bucket_setup", "main"),
    "topics": ("streamproc.embedded_kafka.commands", "topics_main"),
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
