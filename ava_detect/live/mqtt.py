"""Keyframes and events to an MQTT broker: ``PREFIX/SOURCE/keyframe`` and ``PREFIX/SOURCE/event``.

``PREFIX/status`` is ``online``, and ``offline`` after the end, also one without a goodbye (MQTT's last will).
"""

from __future__ import annotations

import json
import ssl
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from ava_detect.environment import install_line
from ava_detect.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

DEFAULT_PREFIX = "ava_detect"
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_TIMEOUT_SECONDS = 10.0
_AT_LEAST_ONCE = 1


def check_mqtt(url: str) -> None:
    """Refuse an address that is no broker, before any work.

    Args:
        url: ``mqtt://`` or ``mqtts://``, perhaps a user and a password, a host, perhaps a port and a prefix of topics.

    Raises:
        ConfigError: It is no such address.
        MissingDependencyError: paho-mqtt is not installed.
    """
    _parts(url)
    if find_spec("paho") is None or find_spec("paho.mqtt") is None:
        raise MissingDependencyError(
            f"`mqtt` needs paho-mqtt, which is not installed; install it with: {install_line('live')}"
        )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    # The marks of wildcards cannot be in the topic of a message.
    if not is_address or parts.query or any(mark in url for mark in ("#", "+")):
        raise ConfigError("`mqtt` is an address such as mqtt://broker:1883/prefix")
    return parts


class MqttSender:
    """A connection to a broker that is made with the first message; a call publishes one message.

    Args:
        url: As for ``check_mqtt``.
    """

    def __init__(self, url: str) -> None:
        check_mqtt(url)
        self._parts = _parts(url)
        self._prefix = self._parts.path.strip("/") or DEFAULT_PREFIX
        self._client: Client | None = None
        self._is_connected = threading.Event()
        self._refusal = ""

    def __call__(self, message: dict[str, Any]) -> None:
        """Publish a message, and wait until the broker has it.

        Args:
            message: ``topic``: the last part of the topic, and ``value``: a JSON value.

        Raises:
            OSError: The broker is not reached, refuses the connection, or does not answer.
        """
        client = self._connected()
        published = client.publish(
            f"{self._prefix}/{message['topic']}", json.dumps(message["value"], ensure_ascii=False), _AT_LEAST_ONCE
        )
        try:
            published.wait_for_publish(_TIMEOUT_SECONDS)
        except (RuntimeError, ValueError) as error:  # the connection was lost meanwhile, or too much waits
            self.close()
            raise OSError(str(error)) from None
        if not published.is_published():
            self.close()
            raise OSError(f"no answer for {_TIMEOUT_SECONDS:g} s")

    def close(self) -> None:
        """Say goodbye to the broker."""
        client, self._client = self._client, None
        self._is_connected.clear()
        if client is not None:
            with suppress(RuntimeError, ValueError):  # without a connection the broker says it in our name
                if client.is_connected():
                    said = client.publish(f"{self._prefix}/status", "offline", _AT_LEAST_ONCE, retain=True)
                    said.wait_for_publish(1.0)
            client.disconnect()
            client.loop_stop()

    def _connected(self) -> Client:
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        client = self._new_client()
        self._client, self._refusal = client, ""  # before the client's thread can say otherwise
        client.connect(self._parts.hostname or "", self._parts.port or _PORTS[self._parts.scheme])
        client.loop_start()
        if not self._is_connected.wait(_TIMEOUT_SECONDS) or self._refusal:
            reason = self._refusal or f"no answer for {_TIMEOUT_SECONDS:g} s"
            self.close()
            raise OSError(reason)
        client.publish(f"{self._prefix}/status", "online", _AT_LEAST_ONCE, retain=True)
        return client

    def _new_client(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2)
        parts = self._parts
        if parts.username is not None:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            client.tls_set_context(ssl.create_default_context())
        client.will_set(f"{self._prefix}/status", "offline", _AT_LEAST_ONCE, retain=True)

        def on_connect(client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            self._refusal = str(reason) if reason.is_failure else ""
            self._is_connected.set()

        client.on_connect = on_connect
        return client
