"""The allow list as a program, on both architectures, run as the kernel would."""

import errno
import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.sandbox.bpf import Check, Rule, program
from streamproc.source.sandbox.seccomp import program_for, rules
from streamproc.source.sandbox.system_calls import MACHINES, this_machine
from tests.streamproc.source.takeover.programs import ALLOW, FAIL, KILL, judged

PID = 4711
REFUSED = FAIL | errno.EPERM
UNKNOWN = FAIL | errno.ENOSYS
PROGRAMS = {name: program(rules(PID), machine) for name, machine in MACHINES.items()}
ARGUMENTS = st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6)

machines = pytest.mark.parametrize("name", MACHINES)


def verdict(name: str, call: str, *arguments: int) -> int:
    machine = MACHINES[name]
    return judged(PROGRAMS[name], machine.audit_arch, machine.syscalls[call], *arguments)


@machines
@given(number=st.integers(0, 2**32 - 1), arguments=ARGUMENTS)
def test_what_is_not_listed_is_refused(name: str, number: int, arguments: list[int]) -> None:
    machine = MACHINES[name]
    listed = {machine.syscalls.get(rule.name) for rule in rules(PID)}
    found = judged(PROGRAMS[name], machine.audit_arch, number, *arguments)
    if number not in listed:
        assert found in {REFUSED, UNKNOWN, KILL}
        assert (found == KILL) == (number >= (machine.foreign_from or 1 << 32))


@machines
@given(architecture=st.integers(0, 2**32 - 1), number=st.integers(0, 500))
def test_a_foreign_architecture_ends_the_process(name: str, architecture: int, number: int) -> None:
    if architecture != MACHINES[name].audit_arch:
        assert judged(PROGRAMS[name], architecture, number) == KILL


@machines
@pytest.mark.parametrize("call", ["mmap", "mprotect"])
@given(address=st.integers(0, 2**64 - 1), protection=st.integers(0, 2**32 - 1))
def test_no_memory_becomes_executable(name: str, call: str, address: int, protection: int) -> None:
    expected = REFUSED if protection & 4 else ALLOW
    assert verdict(name, call, address, 4096, protection) == expected


@machines
@given(flags=st.integers(0, 2**32 - 1))
def test_threads_alone_are_cloned(name: str, flags: int) -> None:
    namespaces = 0x7E020080
    is_thread = flags & 0x10000 and not flags & namespaces
    assert verdict(name, "clone", flags) == (ALLOW if is_thread else REFUSED)


@machines
def test_what_depends_on_arguments_is_its_own_alone(name: str) -> None:
    assert verdict(name, "tgkill", PID, 1, 6) == ALLOW
    assert verdict(name, "tgkill", PID + 1, 1, 6) == REFUSED
    assert verdict(name, "prlimit64", 0, 0) == ALLOW
    assert verdict(name, "prlimit64", PID, 0) == REFUSED
    assert verdict(name, "prlimit64", 0, 7) == REFUSED
    assert verdict(name, "prctl", 15) == ALLOW
    assert verdict(name, "prctl", 4) == REFUSED


@machines
def test_both_machines_know_the_calls_that_a_decoder_lives_on(name: str) -> None:
    needed = {"futex", "recvfrom", "sendto", "pread64", "ppoll", "mmap", "munmap", "clone", "rseq"}
    assert needed <= MACHINES[name].syscalls.keys()
    assert len(set(MACHINES[name].syscalls.values())) == len(MACHINES[name].syscalls)


@pytest.mark.parametrize(
    ("values", "allowed"), [((1, 2), True), ((1, 3), False), ((0, 2), False), ((9, 2), False)]
)
def test_all_checks_of_a_rule_hold_together(values: tuple[int, int], allowed: bool) -> None:
    machine = MACHINES["aarch64"]
    checks = (Check(0, "has", 1), Check(0, "lacks", 8), Check(1, "is", 2))
    made = program([Rule("read", checks), Rule("write")], machine)
    found = judged(made, machine.audit_arch, machine.syscalls["read"], *values)
    assert found == (ALLOW if allowed else REFUSED)
    assert judged(made, machine.audit_arch, machine.syscalls["write"]) == ALLOW


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="no table for this machine")
def test_this_machine_is_known() -> None:
    assert this_machine() is MACHINES[platform.machine()]


@given(st.integers(1, 2**22))
def test_the_program_that_is_made_beforehand_is_that_of_the_process(pid: int) -> None:
    machine = this_machine()
    assert machine is not None
    assert program_for(pid) == program(rules(pid), machine)
