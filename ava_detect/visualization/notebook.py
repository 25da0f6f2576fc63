"""Results in notebooks: HTML with a picture, and a window or a notebook cell for one image."""

from __future__ import annotations

import base64
import html
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from PIL import Image, ImageShow

from ava_detect.errors import AvaDetectError, message_of
from ava_detect.visualization.chips import RGBImage

#: Width of a picture in a notebook, and of a sheet of several, in pixels.
PICTURE_WIDTH = 640
SHEET_WIDTH = 960
_JPEG_QUALITY = 85
# A notebook keeps its outputs in one file.
MAX_ROWS = 20


def picture_html(draw: Callable[[], RGBImage]) -> str:
    """Return a picture as HTML, or the reason why there is none: a notebook shows the results in any case.

    Args:
        draw: Makes the picture.

    Returns:
        An ``img`` element that contains the picture, or a sentence.
    """
    try:
        image = Image.fromarray(draw())
    except (AvaDetectError, ImportError, OSError) as error:
        return paragraph(f"no picture: {message_of(error)}")
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_JPEG_QUALITY)
    encoded = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{encoded}" width="{image.width}" alt="the people and their actions">'


def paragraph(text: str) -> str:
    """Return a text as an HTML paragraph; empty text gives none.

    Args:
        text: Any text.

    Returns:
        The paragraph.
    """
    return f"<p>{html.escape(text)}</p>" if text else ""


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as HTML.

    Args:
        header: A heading for each column.
        rows: The cells of each row; those after the first ``MAX_ROWS`` are counted instead of shown.

    Returns:
        The table.
    """

    def line(cells: Sequence[str], element: str) -> str:
        return "<tr>" + "".join(f"<{element}>{html.escape(cell)}</{element}>" for cell in cells) + "</tr>"

    more = paragraph(f"and {len(rows) - MAX_ROWS:,} more") if len(rows) > MAX_ROWS else ""
    body = "".join(line(row, "td") for row in rows[:MAX_ROWS])
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>{more}"


def show_image(image: RGBImage) -> None:
    """Show an image: in the notebook, or in the program that this system has for images.

    Args:
        image: uint8 RGB ``[H, W, 3]``.

    Raises:
        AvaDetectError: Outside a notebook, where this machine has no screen or no such program.
    """
    picture = Image.fromarray(image)
    if _is_notebook():
        import_module("IPython.display").display(picture)
        return
    has_screen = not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not (has_screen and ImageShow.show(picture)):
        raise AvaDetectError(
            "this machine has no screen or no program that shows images; use `draw()`, which returns the image, and "
            "save it with PIL.Image.fromarray(image).save('picture.png'), or work in a notebook"
        )


def _is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")
