"""Opens live sources, and says in a clause why one cannot be opened: what happened, and what to try."""

from __future__ import annotations

import errno
import socket
import ssl
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer

from ava_detect.errors import shown
from ava_detect.storage.addresses import without_secrets
from ava_detect.video.container import open_input
from ava_detect.video.live.source import ANY_CERTIFICATE, LiveSource

_OPEN_SECONDS, _LOOK_SECONDS = 10.0, 3.0
# FFmpeg would look at 5 s of a stream before it is opened, and at 5 MB.
_PROBE_OPTIONS = {"analyzeduration": "1500000", "probesize": "2000000"}
_UDP_OPTIONS = {"overrun_nonfatal": "1", "fifo_size": "50000"}
_REORDERING_MICROSECONDS = "300000"
# Ports of the schemes that call a server by TCP, where the address has none.
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}
_REFUSED = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
# What another attempt would meet again.
_PERMANENT = (av.error.DemuxerNotFoundError, av.error.OptionNotFoundError)
_NOTHING = "it ends before a video has come; is something sent to it, and are the scheme and the port right?"
_ADVICE: dict[type[Exception], str] = {
    av.error.HTTPForbiddenError: "it refuses access (403); give a user that may see it, as USER:PASSWORD@ "
    "before the host",
    av.error.HTTPNotFoundError: "there is nothing at its path (404); look the path up in the camera's or server's "
    "manual, or wait until something is sent to it",
    av.error.HTTPServerError: "the server fails or is busy (an error of the kind 5XX); look into its own log",
    av.error.HTTPBadRequestError: "it does not understand the request (400); are the scheme and the path right, with "
    "%20 for a space?",
    av.error.EOFError: _NOTHING,
}
_ADVICE_OF_SYSTEM = {
    errno.ECONNREFUSED: "nothing listens at its port (connection refused); is it on, and is the port right?",
    errno.ECONNRESET: _NOTHING,
    errno.EPIPE: _NOTHING,
    errno.EACCES: "this user may not open it; on Linux, members of the group video may open cameras",
    errno.EBUSY: "another program has it open; end that one first",
    errno.ENOTTY: "it is no camera; cameras are /dev/video0, /dev/video1 ...",
}


class LostError(Exception):
    """A source that cannot be read now, or not any more; the message has the reason, without passwords.

    Args:
        reason: What happened.
        is_refused: Whether the source refuses these credentials: asking often may lock them.
        is_permanent: Whether another attempt would fail, too.
    """

    def __init__(self, reason: str, *, is_refused: bool = False, is_permanent: bool = False) -> None:
        super().__init__(reason)
        self.is_refused = is_refused
        self.is_permanent = is_permanent


def open_source(source: LiveSource, lost_seconds: float) -> InputContainer:
    """Open a source.

    Args:
        source: The source.
        lost_seconds: Longest time that a read may take.

    Returns:
        The open container; a context manager.

    Raises:
        LostError: It cannot be opened.
    """
    options = _PROBE_OPTIONS | _tls_options(source)
    if source.scheme.startswith("rtsp"):
        options |= {"rtsp_transport": source.transport, "max_delay": _REORDERING_MICROSECONDS}
    elif source.scheme == "udp":
        options |= _UDP_OPTIONS
    try:
        container = open_input(
            source.ffmpeg_url, format=source.format, options=options, timeout=(_OPEN_SECONDS, lost_seconds)
        )
    except av.error.ProtocolNotFoundError:
        raise LostError(
            f"the FFmpeg inside PyAV cannot read {source.scheme}://; have a program pipe it to `ava-detect live -`",
            is_permanent=True,
        ) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise LostError(
            _opening_reason(error, source),
            is_refused=isinstance(error, _REFUSED),
            # A pipe that was no video when it was opened has nothing more to give.
            is_permanent=source.kind == "pipe" or isinstance(error, _PERMANENT),
        ) from None
    return container


def reason_of(error: BaseException) -> str:
    """Return what FFmpeg says, without the address, which may hold a password.

    Args:
        error: The error.

    Returns:
        A clause for a message.
    """
    if isinstance(error, TimeoutError):
        return "no answer"
    text = getattr(error, "strerror", None) or type(error).__name__
    return shown(without_secrets(str(text)))


def _tls_options(source: LiveSource) -> dict[str, str]:
    """FFmpeg checks certificates only where it is asked to."""
    if source.scheme not in ("rtsps", "https", "rtmps") or source.certificates == ANY_CERTIFICATE:
        return {}
    trusted = source.certificates or ssl.get_default_verify_paths().cafile
    return {"tls_verify": "1"} | ({"ca_file": str(trusted)} if trusted else {})


def _opening_reason(error: Exception, source: LiveSource) -> str:
    if isinstance(error, av.error.HTTPUnauthorizedError):
        if urlsplit(source.url).username is None:
            return "it asks for a user and a password (401); give USER:PASSWORD@ before the host"
        return "it refuses the user or the password (401); write /, ?, # and @ in them as %2F, %3F, %23 and %40"
    if isinstance(error, av.error.ExitError | TimeoutError):
        return f"no answer for {_OPEN_SECONDS:g} s; is it on, is its address right, and does a firewall let it through?"
    if source.kind == "pipe" and isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return "what comes, if anything, is no container of video; have the program before it write MPEG-TS or Matroska"
    if isinstance(error, av.error.InvalidDataError):
        is_web = source.scheme in ("http", "https")
        return "what comes is no video; give the address of the stream, not of a page" if is_web else _NOTHING
    for kind, advice in _ADVICE.items():
        if isinstance(error, kind):
            return advice
    number = getattr(error, "errno", None)
    if number == errno.EIO and source.scheme in _PORTS:
        return _network_reason(source) or (
            "nothing is sent to its path, or the path is wrong"
            if source.scheme.startswith("rtmp")
            else "what comes cannot be read; are the scheme, the port and the path right, and is there a video?"
        )
    return _ADVICE_OF_SYSTEM.get(number or 0) or reason_of(error)


def _network_reason(source: LiveSource) -> str:
    """What Python meets on the way to a server, where FFmpeg says "Input/output error"; empty where it meets nothing.

    No host is named: in an address that is not written as it should be, it may be a part of a password.
    """
    parts = urlsplit(source.url)
    host = parts.hostname or ""
    try:
        with socket.create_connection((host, parts.port or _PORTS[source.scheme]), _LOOK_SECONDS) as connection:
            if source.scheme not in ("rtsps", "https", "rtmps"):
                return ""
            trust = None if source.certificates in (None, ANY_CERTIFICATE) else source.certificates
            context = ssl.create_default_context(cafile=trust)
            with context.wrap_socket(connection, server_hostname=host):
                return ""
    except socket.gaierror:
        return "this machine finds no host of its name; is the name right, and is the network up?"
    except ssl.SSLCertVerificationError as error:
        return (
            f"its certificate is not trusted ({shown(error.verify_message)}); give its file "
            f"as `certificates`, or `certificates={ANY_CERTIFICATE}`, which checks none"
        )
    except ssl.SSLError:
        return f"it does not encrypt; try {source.scheme.removesuffix('s')}://"
    except OSError as error:
        return _ADVICE_OF_SYSTEM.get(error.errno or 0) or reason_of(error)
