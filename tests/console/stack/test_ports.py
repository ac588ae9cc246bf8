import socket

from console.stack.ports import LOOPBACK, allocate, is_free


def test_ports_are_free_and_differ() -> None:
    ports = allocate(["a", "b", "c", "d"], {})
    assert len(set(ports.values())) == 4
    assert all(is_free(port) for port in ports.values())


def test_a_remembered_port_is_kept() -> None:
    first = allocate(["a", "b"], {})
    again = allocate(["a", "b", "c"], first)
    assert {name: again[name] for name in first} == first
    assert allocate(["b"], first) == {"b": first["b"]}


def test_a_remembered_port_that_is_taken_is_replaced() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        assert allocate(["a"], {"a": taken})["a"] != taken


def test_ports_lie_outside_the_kernels_own_range() -> None:
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:  # noqa: PTH123
        low, high = map(int, file.read().split())
    assert all(not low <= port <= high for port in allocate("abcdefgh", {}).values())
