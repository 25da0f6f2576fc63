"""A live run from its settings to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from types import FrameType

from ava_detect.inference.live.measures import LiveStatus
from ava_detect.inference.live.options import LiveOptions
from ava_detect.inference.live.work import LiveWork
from ava_detect.inference.pipeline import Pipeline
from ava_detect.live.outputs import LiveOutputs, Say
from ava_detect.live.settings import LiveSettings
from ava_detect.video.live.source import LiveSource

# Clips are written a keyframe after their end, and the rows of a slow network are late.
_SLACK_SECONDS = 30.0


def run_live(
    pipeline: Pipeline, sources: Sequence[LiveSource], options: LiveOptions, settings: LiveSettings, say: Say
) -> list[LiveStatus]:
    """Run until the sources end, the time is over, or Ctrl-C or SIGTERM; a second Ctrl-C ends at once.

    Args:
        pipeline: The detector, the network and their settings.
        sources: The sources.
        options: How the run goes about its work.
        settings: What it gives.
        say: Told what happens, in sentences for people; called by any thread.

    Returns:
        How each source did.

    Raises:
        ConfigError: A setting is wrong.
        VideoError: A file cannot be read.
        OSError: An output cannot be written.
    """
    clips = settings.clips
    seconds = 0.0 if clips is None else clips.before_seconds + clips.after_seconds + _SLACK_SECONDS
    with ExitStack() as stack:
        outputs = stack.enter_context(LiveOutputs(sources, settings, pipeline.label_map, pipeline.every_seconds, say))
        work = LiveWork(pipeline, sources, options, on_notice=outputs.notice, preview_seconds=seconds)
        for reader in work.readers:
            if reader.previews is not None:
                outputs.save_clips(reader.source.name, reader.previews, pipeline.note)
        stack.enter_context(stopped_by_signals(work.stop))
        for keyframe in stack.enter_context(closing(work.run())):
            outputs.keyframe(keyframe)
        return work.status()


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have the first Ctrl-C, and SIGTERM, end a run in order; a second Ctrl-C interrupts as usual.

    Args:
        stop: Ends it; returns at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
