"""Compiler from an allow list of system calls to a seccomp filter (classic BPF, `seccomp_data`).

A call of a foreign architecture or calling convention kills the process: its number means another
call. A call that is not listed fails with EPERM. A recent one (from `SHARED_FROM` on) fails with
ENOSYS, so that a C library that tries it falls back to an older one.
"""

import errno
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from streamproc.source.sandbox.system_calls import SHARED_FROM, Machine

_INSTRUCTION: Final = struct.Struct("<HBBI")
_LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_IF_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT: Final = 16

_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_FAIL: Final = 0x00050000

Test = Literal["is", "has", "lacks"]
Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on the lower 32 bits of an argument: equal, any bit set, or no bit set."""

    argument: int
    test: Test
    value: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A system call that is allowed if all checks hold."""

    name: str
    checks: tuple[Check, ...] = ()


def program(rules: Iterable[Rule], machine: Machine) -> bytes:
    """Return the instructions; earlier rules are matched first."""
    instructions: list[Instruction] = [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, machine.audit_arch),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD_WORD, 0, 0, _NUMBER_AT),
    ]
    if machine.foreign_from is not None:
        instructions += [
            (_IF_AT_LEAST, 0, 1, machine.foreign_from),
            (_RETURN, 0, 0, _KILL_PROCESS),
        ]
    for rule in rules:
        number = machine.syscalls.get(rule.name)
        if number is not None:
            body = [*_body(rule.checks)]
            instructions += [(_IF_EQUAL, 0, len(body), number), *body]
    instructions += [
        (_IF_AT_LEAST, 0, 1, SHARED_FROM),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
    ]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions)


def _body(checks: tuple[Check, ...]) -> Iterator[Instruction]:
    """Yield the instructions for a call whose number has matched; they always end in a return."""
    n_left = len(checks)
    for check in checks:
        n_left -= 1
        refuse = 2 * n_left + 1  # jump over the remaining checks and the allowing return
        yield (_LOAD_WORD, 0, 0, _ARGUMENTS_AT + 8 * check.argument)
        if check.test == "is":
            yield (_IF_EQUAL, 0, refuse, check.value)
        elif check.test == "has":
            yield (_IF_ANY_BIT, 0, refuse, check.value)
        else:
            yield (_IF_ANY_BIT, refuse, 0, check.value)
    yield (_RETURN, 0, 0, _ALLOW)
    if checks:
        yield (_RETURN, 0, 0, _FAIL | errno.EPERM)
