"""Messages to other programs: in order, tried again, bounded; a real web server and a broker that speaks MQTT."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from concurrency import wait_until

from ava_detect.errors import ConfigError
from ava_detect.live.delivery import Delivery, RefusedError
from ava_detect.live.mqtt import MqttSender, check_mqtt
from ava_detect.live.webhook import check_webhook, webhook_sender


def delivery(send, **options) -> tuple[Delivery, list[str]]:
    problems: list[str] = []
    return Delivery("webhook", send, problems.append, first_wait_seconds=0.01, **options), problems


def test_messages_are_sent_in_order_and_tried_again():
    got, failures = [], iter([True, True, False, True, False, False])

    def send(message):
        if next(failures):
            raise OSError("broken http://me:hunter2@host/")
        got.append(message["n"])

    sender, problems = delivery(send)
    for number in range(3):
        sender.put({"n": number})
    wait_until(lambda: got == [0, 1, 2])
    sender.close(5)
    assert (sender.num_sent, sender.num_lost) == (3, 0)
    # Told once each time that it stops working, without the password.
    assert len(problems) == 2
    assert not any("hunter2" in problem for problem in problems)


def test_what_waits_is_bounded_and_the_oldest_is_left_out():
    gate, got = threading.Event(), []

    def send(message):
        gate.wait()
        got.append(message["n"])

    sender, _ = delivery(send, most_waiting=3)
    for number in range(10):
        sender.put({"n": number})
    gate.set()
    sender.close(30)
    assert got[-3:] == [7, 8, 9]
    assert len(got) <= 4
    assert sender.num_sent + sender.num_lost >= 10


def test_a_refused_message_is_not_tried_again():
    calls = []

    def send(message):
        calls.append(message)
        raise RefusedError("HTTP 400")

    sender, problems = delivery(send)
    sender.put({})
    wait_until(lambda: sender.num_lost == 1)
    sender.close(5)
    assert len(calls) == 1
    assert "HTTP 400" in problems[0]


def test_closing_gives_up_on_a_receiver_that_is_away():
    def send(message):
        raise OSError("away")

    sender, _ = delivery(send)
    sender.put({})
    sender.close(0.1)
    assert sender.num_lost == 1


@contextmanager
def web_server(*codes: int) -> Iterator[tuple[str, list]]:
    """Answers requests with these codes, the last one ever after."""
    requests: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(codes[min(len(requests), len(codes)) - 1])
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_gets_json_and_its_password_in_a_header():
    with web_server(500, 429, 204) as (host, requests):
        sender, problems = delivery(webhook_sender(f"http://me:p%40ss@{host}/hook?token=1"))
        sender.put({"text": "ä"})
        wait_until(lambda: sender.num_sent == 1)
        sender.close(5)
    assert [body for _, _, body in requests] == [{"text": "ä"}] * 3
    path, headers, _ = requests[-1]
    assert path == "/hook?token=1"
    assert headers["Authorization"] == "Basic bWU6cEBzcw=="
    assert headers["Content-Type"] == "application/json"
    assert not any("p%40ss" in problem or "p@ss" in problem for problem in problems)


@pytest.mark.parametrize("code", [301, 404])
def test_a_webhook_that_refuses_or_redirects_is_not_followed(code):
    with web_server(code) as (host, requests):
        with pytest.raises(RefusedError, match=str(code)):
            webhook_sender(f"http://{host}/")({})
        assert len(requests) == 1


@pytest.mark.parametrize("url", ["ftp://host/", "http://", "host/hook", "http://[x/", "http://a b/"])
def test_what_is_no_webhook_is_refused_without_showing_it(url):
    with pytest.raises(ConfigError, match="webhook"):
        check_webhook(url)


class Broker:
    """As much of an MQTT 3.1.1 broker as a publisher with quality of service 1 needs."""

    def __init__(self, return_code: int = 0) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.users: list[bytes] = []
        self._return_code = return_code
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        # Bound and not listening: who connects is refused, and no server of another process gets the port meanwhile.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", self.port))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, IndexError), connection.makefile("rb") as stream:
            while head := stream.read(1):
                length, shift = 0, 0
                while (byte := stream.read(1)[0]) & 128:
                    length, shift = length | (byte & 127) << shift, shift + 7
                body = stream.read(length | byte << shift)
                kind = head[0] >> 4
                if kind == 1:  # CONNECT
                    self.users.append(body)
                    connection.sendall(bytes([0x20, 2, 0, self._return_code]))
                elif kind == 3:  # PUBLISH
                    (size,) = struct.unpack_from(">H", body)
                    topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
                    self.published.append((topic, rest[2:]))
                    connection.sendall(b"\x40\x02" + rest[:2])
                elif kind == 14:  # DISCONNECT
                    return


def test_a_broker_gets_the_messages_under_their_topics():
    pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed")
    broker = Broker()
    send = MqttSender(f"mqtt://me:hunter2@127.0.0.1:{broker.port}/house")
    send({"topic": "cam/keyframe", "value": {"people": []}})
    send({"topic": "cam/event", "value": {"text": "ä"}})
    send.close()
    broker.close()
    assert broker.published == [
        ("house/status", b"online"),
        ("house/cam/keyframe", b'{"people": []}'),
        ("house/cam/event", '{"text": "ä"}'.encode()),
        ("house/status", b"offline"),
    ]
    assert b"hunter2" in broker.users[0]


def test_a_broker_that_refuses_or_is_away_is_an_error():
    pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed")
    broker = Broker(return_code=5)
    send = MqttSender(f"mqtt://127.0.0.1:{broker.port}")
    with pytest.raises(OSError, match="authori"):
        send({"topic": "cam/event", "value": {}})
    broker.close()
    with pytest.raises(OSError, match="refused"):
        send({"topic": "cam/event", "value": {}})


class _Answers:
    """A client whose thread has the broker's answer before it is waited for, and loses the connection afterwards."""

    def __init__(self, is_refused: bool) -> None:
        self.is_refused, self.on_connect = is_refused, None

    def connect(self, host, port):
        self.answer = SimpleNamespace(is_failure=self.is_refused)

    def loop_start(self):
        self.on_connect(self, None, None, self.answer, None)

    def publish(self, *_, **__):
        def wait(seconds):
            raise RuntimeError("The client is not currently connected.")

        return SimpleNamespace(wait_for_publish=wait)

    def is_connected(self):
        return False

    def disconnect(self):
        pass

    loop_stop = disconnect


@pytest.mark.parametrize(("is_refused", "message"), [(True, "is_failure=True"), (False, "not currently connected")])
def test_a_quick_answer_and_a_lost_connection_are_errors(monkeypatch, is_refused, message):
    pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed")
    send = MqttSender("mqtt://127.0.0.1")
    new_client = send._new_client

    def answering():
        client = _Answers(is_refused)
        client.on_connect = new_client().on_connect
        return client

    monkeypatch.setattr(send, "_new_client", answering)
    with pytest.raises(OSError, match=message):
        send({"topic": "cam/event", "value": {}})


@pytest.mark.parametrize("url", ["http://host", "mqtt://", "mqtt://host/a/#", "broker"])
def test_what_is_no_broker_is_refused(url):
    with pytest.raises(ConfigError, match="mqtt://broker:1883/prefix"):
        check_mqtt(url)
