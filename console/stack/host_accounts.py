"""Other login accounts of this host: embedded engines need no authentication on loopback."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pwd

_FIRST_UID = 1000
_LAST_UID = 59_999  # as in login.defs; dynamic users and `nobody` have higher ids
_NO_SHELLS = ("nologin", "false", "sync")


def other_people(
    accounts: "Iterable[pwd.struct_passwd] | None" = None, own_uid: int | None = None
) -> list[str]:
    """Return the sorted names of other accounts of people: regular uid and a login shell."""
    from pwd import getpwall  # noqa: PLC0415 - Windows has none, and runs no engines

    uid = os.getuid() if own_uid is None else own_uid
    return sorted(
        account.pw_name
        for account in (getpwall() if accounts is None else accounts)
        if _FIRST_UID <= account.pw_uid <= _LAST_UID
        and account.pw_uid != uid
        and not account.pw_shell.endswith(_NO_SHELLS)
    )
