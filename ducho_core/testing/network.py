"""A process without a network."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESOLVERS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


@contextmanager
def no_network() -> Iterator[list[str]]:
    """Let no connection leave this machine, and no name be looked up.

    What tries gets an ``OSError``, as it would with the cable unplugged. Connections within
    the machine (loopback, Unix sockets) go on.

    Yields:
        The hosts that were tried; grows while the block runs.
    """
    tried: list[str] = []
    connect, connect_ex, sendto = (
        getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")
    )

    def refuse(host: object) -> OSError:
        tried.append(str(host))
        return OSError(f"there is no network here: {host} was tried")

    def guarded(inner: Any) -> Any:
        def call(self: socket.socket, *arguments: Any) -> Any:
            address = arguments[-1]
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                raise refuse(address[0])
            return inner(self, *arguments)

        return call

    def resolver(inner: Any) -> Any:
        def call(host: Any, *arguments: Any, **more: Any) -> Any:
            if not _is_local(host):
                raise refuse(host)
            return inner(host, *arguments, **more)

        return call

    with mock.patch.multiple(
        socket.socket,
        connect=guarded(connect),
        connect_ex=guarded(connect_ex),
        sendto=guarded(sendto),
    ):
        names = {name: resolver(getattr(socket, name)) for name in _RESOLVERS}
        with mock.patch.multiple(socket, **names):
            yield tried


def _is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False
