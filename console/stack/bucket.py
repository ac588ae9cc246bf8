"""One-shot child that creates the bucket and tests the store before other children use it."""

from collections import ChainMap
from collections.abc import MutableMapping

from console.stack.child_process import ChildSpec
from console.stack.supervisor import Rules
from streamproc.contract import env

NAME = "bucket"
EXIT_SETTINGS = 2  # of `python -m streamproc bucket`
EXIT_AWAY = 3
EXIT_UNFIT = 5
_OWN_START_S = 60.0


def spec(python: list[str], environ: MutableMapping[str, str], *, own: bool) -> ChildSpec:
    """Return the child; `own`: the store is also a child, and needs some time to become ready.

    While an external store is unreachable, the child is restarted without limit. Failures that are
    not transient are retried a few times.
    """
    return ChildSpec(
        rules=Rules(
            NAME,
            one_shot=True,
            fatal_codes=frozenset({EXIT_SETTINGS, EXIT_UNFIT}),
            patient_codes=frozenset({EXIT_AWAY}),
            start_deadline_s=_OWN_START_S + 30.0,
        ),
        command=[*python, "streamproc", "bucket", *([f"--wait={_OWN_START_S}"] if own else [])],
        environ=environ if own else ChainMap({env.S3_TRIED: "0"}, environ),
    )
