"""Text in the cells of Markdown tables."""

from __future__ import annotations

import html
import re


def cell(text: str) -> str:
    """Return text for a cell; a vertical bar, which ends a cell even inside code, stays one.

    Args:
        text: Plain text with code in single or double backquotes.

    Returns:
        Markdown in one line.
    """
    parts = re.split(r"(`{1,2})(.+?)\1", " ".join(text.split()))
    prose, codes = parts[::3], parts[2::3]
    texts = [part.replace("<", "&lt;").replace("|", "&#124;") for part in prose]
    return "".join(text + code for text, code in zip(texts, [*map(code_cell, codes), ""], strict=True))


def code_cell(code: str) -> str:
    """Return code for a cell.

    Args:
        code: The code.

    Returns:
        HTML, because Markdown's code cannot hold a vertical bar there.
    """
    return f"<code>{html.escape(code, quote=False).replace('|', '&#124;')}</code>"
