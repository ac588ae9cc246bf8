"""A container of Docker's default profile: an ordinary user, no capability, no `unshare`."""

import os

from streamproc.source.sandbox import capabilities, seccomp
from streamproc.source.sandbox.system_calls import prctl, this_machine
from tests.streamproc.source.takeover.attempt import number
from tests.streamproc.source.takeover.programs import refusing

_PR_SET_NO_NEW_PRIVS = 38
_USER = 12345


def become() -> None:
    """Be such a process from here on."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_USER, _USER, _USER)
        os.setresuid(_USER, _USER, _USER)
    capabilities.drop()
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    machine = this_machine()
    assert machine is not None
    seccomp.install(refusing(number("unshare")), machine)
