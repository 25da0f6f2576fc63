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
from ava_detect.live.page_state import PICTURE_SECONDS, PageState
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
        options: Latency, limits of time, transport, speed of files.
        settings: The outputs: rows, alarms, saved clips, page.
        say: Told what happens, in sentences for people; called by any thread.

    Returns:
        How each source did.

    Raises:
        ConfigError: A setting is wrong.
        VideoError: A file cannot be read.
        OSError: An output cannot be written.
    """
    with ExitStack() as stack:
        outputs = stack.enter_context(LiveOutputs(sources, settings, pipeline.label_map, pipeline.every_seconds, say))
        work = LiveWork(
            pipeline, sources, options, on_notice=outputs.notice, preview_seconds=_seconds_of_pictures(settings)
        )
        previews = [reader.previews for reader in work.readers if reader.previews is not None]
        for source, pictures in zip(sources, previews, strict=False):
            outputs.save_clips(source.name, pictures, pipeline.note)
        if settings.page_port is not None:
            from ava_detect.live.page import live_page

            names = [source.name for source in sources]
            state = PageState(names, pipeline.label_map, pipeline.every_seconds, pipeline.note, work.status, previews)
            outputs.watcher = state
            say(f"Open in a browser: {stack.enter_context(live_page(state, settings.page_port))}")
        stack.enter_context(stopped_by_signals(work.stop))
        for keyframe in stack.enter_context(closing(work.run())):
            outputs.keyframe(keyframe)
        return work.status()


def _seconds_of_pictures(settings: LiveSettings) -> float:
    """How long pictures are kept: for the clips that are saved, and for the page; 0 where there is neither."""
    clips = settings.clips
    of_clips = 0.0 if clips is None else clips.before_seconds + clips.after_seconds + _SLACK_SECONDS
    return max(of_clips, 0.0 if settings.page_port is None else PICTURE_SECONDS)


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
