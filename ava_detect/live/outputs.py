"""Everything that a live run gives: keyframes and notices go in; lines, messages, clips and the page come out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ava_detect.errors import os_error_message
from ava_detect.inference.live.keyframe import LiveKeyframe, keyframe_line
from ava_detect.live.alarms import AlarmRule, Alarms
from ava_detect.live.clips import ClipSaver
from ava_detect.live.delivery import Delivery
from ava_detect.live.drops import Drops
from ava_detect.live.events import END_OF_PEAK, ActionEvents, LiveEvent
from ava_detect.live.lines import EVENTS, LineFiles, print_line
from ava_detect.live.mqtt import MqttSender
from ava_detect.live.settings import LiveSettings
from ava_detect.live.webhook import webhook_sender
from ava_detect.structures.labels import LabelMap
from ava_detect.video.live.previews import Previews
from ava_detect.video.live.source import LiveSource
from ava_detect.video.live.status import LiveNotice
from ava_detect.visualization.draw import DrawOptions

_SECONDS_TO_SEND, _SECONDS_TO_WRITE_CLIPS = 5.0, 60.0
# After these nothing more is seen of a source, for a time. Its events end where it does not come back soon; the last
# keyframes before the loss may still be with the network.
_ENDS = ("lost", "ended", "failed")
_SECONDS_TO_COME_BACK = 5.0

Say = Callable[[str], None]


class Watcher(Protocol):
    """Is shown everything, such as the page."""

    def keyframe(self, source: int, keyframe: LiveKeyframe) -> None:
        """Take a keyframe.

        Args:
            source: The source's number.
            keyframe: The keyframe.
        """

    def event(self, event: LiveEvent) -> None:
        """Take an event.

        Args:
            event: The event.
        """


class _Source:
    """What is known of one source."""

    def __init__(self, name: str, settings: LiveSettings, label_map: LabelMap, every_seconds: float) -> None:
        self.actions = ActionEvents(
            label_map,
            every_seconds,
            min_peak=settings.event_score,
            min_score=END_OF_PEAK * settings.event_score,
        )
        rules = [AlarmRule.parse(rule, label_map) for rule in settings.when]
        self.alarms = Alarms(rules, every_seconds)
        self.drops = Drops(name)
        self.clips: ClipSaver | None = None
        self.timer: threading.Timer | None = None

    def expect(self, then: Callable[[], None] | None) -> None:
        """Have a function called unless the source comes back soon; None where it is back."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None if then is None else threading.Timer(_SECONDS_TO_COME_BACK, then)
        if self.timer is not None:
            self.timer.daemon = True
            self.timer.start()

    def finish(self, name: str, now: datetime) -> list[LiveEvent]:
        return [*self.actions.finish(name, now), *self.alarms.finish(name, now)]


class LiveOutputs:
    """A context manager; keyframes come from one thread, notices from any.

    Args:
        sources: The sources.
        settings: What is given.
        label_map: The actions of the network.
        every_seconds: Time between keyframes.
        say: Told what happens, in sentences for people.

    Attributes:
        watcher: Is shown everything; None for none.

    Raises:
        ConfigError: A setting is wrong.
        OSError: The folder of the files cannot be made.
    """

    def __init__(
        self,
        sources: Sequence[LiveSource],
        settings: LiveSettings,
        label_map: LabelMap,
        every_seconds: float,
        say: Say,
    ) -> None:
        names = [source.name for source in sources]
        self._settings, self._say = settings, say
        self._written = settings.scores.for_classes(label_map)
        self.watcher: Watcher | None = None
        self._label_map, self._every_seconds = label_map, every_seconds
        self._numbers = {name: number for number, name in enumerate(names)}
        self._sources = {name: _Source(name, settings, label_map, every_seconds) for name in names}
        self._lock = threading.RLock()
        self._files: LineFiles | None = None
        self._has_file_problem = self._is_over = False
        if settings.out is not None:
            inputs = {"sources": [source.path for source in sources if source.kind == "file"]}
            self._files = LineFiles(settings.out, names, int(settings.rotate_mb * 1e6), settings.keep, inputs)
        self._webhook = self._mqtt = None
        if settings.webhook is not None:
            self._webhook = Delivery("webhook", webhook_sender(settings.webhook), say)
        self._broker = None if settings.mqtt is None else MqttSender(settings.mqtt)
        if self._broker is not None:
            self._mqtt = Delivery("MQTT broker", self._broker, say)

    def __enter__(self) -> LiveOutputs:
        return self

    def __exit__(self, *error: object) -> None:
        """Tell what ends, send what waits, write the clips that have begun, and close the files."""
        with ExitStack() as stack:
            if self._files is not None:
                stack.callback(self._files.__exit__)
            if self._broker is not None:
                stack.callback(self._broker.close)
            for delivery in (self._webhook, self._mqtt):
                if delivery is not None:
                    stack.callback(delivery.close, _SECONDS_TO_SEND)
            for source in self._sources.values():
                if source.clips is not None:
                    stack.callback(source.clips.close, _SECONDS_TO_WRITE_CLIPS)
            for name, source in self._sources.items():
                source.expect(None)
                self._finish(name)
            self._is_over = True

    def save_clips(self, source: str, previews: Previews, note: str) -> None:
        """Save clips of a source from now on, if the settings say so.

        Args:
            source: The source's name.
            previews: Its pictures.
            note: Text across the top of the clips; empty for none.
        """
        if self._settings.clips is not None:
            drawing = DrawOptions(banner=note, keyframe_seconds=self._every_seconds)
            self._sources[source].clips = ClipSaver(
                source, self._settings.clips, self._label_map, drawing, previews, self._clip_written
            )

    def keyframe(self, keyframe: LiveKeyframe) -> None:
        """Give a keyframe, and what follows from it.

        Args:
            keyframe: The keyframe.

        Raises:
            OSError: The standard output cannot be written.
        """
        source = self._sources[keyframe.video_id]
        with self._lock:
            keyframe, kept = self._written(keyframe)
            value = keyframe_line(keyframe, kept)
            self._line(keyframe.video_id, value)
            if self._mqtt is not None:
                self._mqtt.put({"topic": f"{keyframe.video_id}/keyframe", "value": value})
            if self.watcher is not None:
                self.watcher.keyframe(self._numbers[keyframe.video_id], keyframe)
            actions, alarms = source.actions.update(keyframe), source.alarms.update(keyframe)
            self._tell_all([*actions, *alarms])
            if source.clips is not None:
                for event in alarms if self._settings.when else actions:
                    if event.state == "begins":
                        source.clips.want(event, keyframe.timestamp_seconds)
                source.clips.update(keyframe)
        if text := source.drops.update(keyframe):
            self._say(text)

    def notice(self, notice: LiveNotice) -> None:
        """Give a notice on a source.

        Args:
            notice: The notice; ignored once this is closed: a reader that waits for a source may end after that.
        """
        if self._is_over:
            return
        self._say(f"{notice.source}: {'' if notice.kind == 'changed' else notice.kind + ', '}{notice.text}")
        source = self._sources[notice.source]
        with self._lock:
            self._tell_all([LiveEvent("source", notice.kind, notice.source, datetime.now(UTC), notice.text)])
            if notice.kind in (*_ENDS, "connected"):
                source.expect(partial(self._finish, notice.source) if notice.kind in _ENDS else None)

    def _finish(self, name: str) -> None:
        """End the events of a source, and write its clips."""
        source = self._sources[name]
        with self._lock:
            self._tell_all(source.finish(name, datetime.now(UTC)))
            if source.clips is not None:
                source.clips.finish()

    def _clip_written(self, event: LiveEvent, path: Path | None, problem: str) -> None:
        if path is None:
            self._say(f"{event.source}: the clip of an event could not be saved ({problem})")
            return
        details = {"path": str(path), "of": event.kind, "action": event.details.get("action", "")}
        with self._lock:
            saved = LiveEvent("clip", "saved", event.source, datetime.now(UTC), f"saved {path}: {event.text}", details)
            self._tell_all([saved])

    def _tell_all(self, events: Sequence[LiveEvent]) -> None:
        for event in events:
            value = event.to_dict()
            self._line(EVENTS, value)
            if self._mqtt is not None:
                self._mqtt.put({"topic": f"{event.source}/event", "value": value})
            # Where there are rules, they are what the webhook is for.
            if self._webhook is not None and not (event.kind == "action" and self._settings.when):
                self._webhook.put(value)
            if self.watcher is not None:
                self.watcher.event(event)
            if event.kind == "alarm":
                self._say(f"{event.source}: {event.text}")

    def _line(self, name: str, value: dict[str, Any]) -> None:
        """Write a line; a full disk ends no run, a reader that has gone does."""
        if self._settings.print_lines:
            print_line(value)
        if self._files is None:
            return
        try:
            self._files.write(name, value)
        except OSError as error:
            if not self._has_file_problem:
                self._has_file_problem = True
                self._say(f"lines are lost: {os_error_message(error)}")
        else:
            self._has_file_problem = False
