"""Accounts of people are told from those of services."""

from pwd import struct_passwd

from console.stack.host_accounts import other_people


def account(name: str, uid: int, shell: str) -> struct_passwd:
    return struct_passwd((name, "x", uid, uid, "", f"/h/{name}", shell))


def test_other_people_are_those_who_can_log_in() -> None:
    accounts = [
        account("root", 0, "/bin/bash"),
        account("daemon", 1, "/usr/sbin/nologin"),
        account("zoe", 1003, "/bin/zsh"),
        account("me", 1000, "/bin/bash"),
        account("bob", 1001, "/bin/bash"),
        account("svc", 1002, "/bin/false"),
        account("nobody", 65534, "/bin/sh"),
        account("dynamic", 61_200, "/bin/sh"),
    ]
    assert other_people(accounts, 1000) == ["bob", "zoe"]
    assert other_people([], 1000) == []
