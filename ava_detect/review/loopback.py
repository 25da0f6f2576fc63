"""A web server of one page for one user: it listens on this machine, and its address has a random word (``guard``)."""

from __future__ import annotations

import errno
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ava_detect.environment import install_line
from ava_detect.errors import ConfigError, MissingDependencyError, shown

if TYPE_CHECKING:
    from uvicorn import Server

LOOPBACK = "127.0.0.1"
_SECONDS_TO_FINISH = 1


def require_server(what: str, extra: str) -> None:
    """Refuse to begin where the libraries of the server are not installed.

    Args:
        what: What needs them, such as ``a review``.
        extra: The extra that has them.

    Raises:
        MissingDependencyError: Starlette or uvicorn is not installed.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"{what} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            f"install it with: {install_line(extra)}"
        )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Args:
        host: Address of this machine.
        port: The port; 0 for any that is free.

    Raises:
        ConfigError: The address is not of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"`port` {port} is taken, perhaps by another run of this; give another one, or 0 for any"
            ) from error
        raise ConfigError(f"`host` {shown(host)} cannot be listened on ({shown(error.strerror or error)})") from error


def page_address(host: str, port: int, token: str) -> str:
    """Return the address to open.

    Args:
        host: Address on which the server listens.
        port: Its port.
        token: First part of every path.
    """
    name = {"0.0.0.0": LOOPBACK, "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/{token}/"


def server_of(app: Any) -> Server:
    """Return a server for an ASGI application; ``run(sockets=[listening])`` answers requests until it is told to end.

    Args:
        app: The application.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    return uvicorn.Server(config)
