"""Sockets that a server is given."""

import socket

__all__ = ["listening"]


def listening(host: str, port: int, *, backlog: int = 512) -> socket.socket:
    """A TCP socket that listens, and whose connections send each piece of an answer at once.

    asyncio sees to that only on sockets that it opens itself. On others a server that sends head and body apart waits for
    the client's acknowledgement between them, which the client holds back for 40 ms (Nagle's algorithm, RFC 896).

    Args:
        host: address, IPv4 or IPv6.
        port: 0: any that is free.
        backlog: connections that may wait to be accepted.

    Raises:
        OSError: the port is taken.

    Example:
        >>> with listening("127.0.0.1", 0) as one:
        ...     one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) > 0
        True
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.create_server((host.strip("[]"), port), family=family, backlog=backlog)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections inherit it
    return one
