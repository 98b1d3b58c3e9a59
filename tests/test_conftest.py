from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize("host", ["example.org", b"example.org"])
def test_no_name_is_looked_up(host: str | bytes, forbidden_connections: list[str]) -> None:
    with pytest.raises(PermissionError, match="loopback"):
        socket.getaddrinfo(host, 443)
    assert len(forbidden_connections) == 1
    forbidden_connections.clear()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_no_connection_leaves_the_machine(host: str, forbidden_connections: list[str]) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family, socket.SOCK_STREAM) as sock,
        pytest.raises(PermissionError, match="loopback"),
    ):
        sock.connect((host, 80))
    assert forbidden_connections == [host]
    forbidden_connections.clear()


def test_the_loopback_and_local_sockets_are_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = ("localhost", server.getsockname()[1])
        with socket.create_connection(address, timeout=5) as client:
            assert client.getpeername()[0] == "127.0.0.1"
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        assert other.recv(1) == b"x"
