"""Parts of error messages: bounded values, and the known name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: Characters of a value that a message shows at most.
MAX_CHARACTERS = 100
#: A list of known names is shown in full up to this length.
_MAX_LISTED = 12


def shorten(value: object, limit: int = MAX_CHARACTERS) -> str:
    """Return a value's ``repr`` in one line of bounded length, for a message.

    Args:
        value: anything, also of any size.
        limit: number of characters to keep.
    """
    try:
        # A slice first: the repr of a text is never shorter than the text.
        text = repr(value[: limit + 1] if isinstance(value, (str, bytes)) else value)
    except Exception:  # an int of more than 4300 digits, nesting that is too deep, any __repr__
        text = f"<{type(value).__name__}>"
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def suggest(name: object, known: Iterable[object]) -> str:
    """Return the end of a message about an unknown name, without a period.

    Args:
        name: the unknown name.
        known: the names to choose from.

    Returns:
        ``did you mean 'max_per_img'?``; the known names if none is similar and they are few.
    """
    names = sorted({str(each) for each in known})
    folded = {each.lower(): each for each in reversed(names)}
    wanted = str(name)[:200].lower()
    close = get_close_matches(wanted, folded, n=3, cutoff=0.6)
    # Fewer, where one is much nearer than the others.
    close = get_close_matches(wanted, folded, n=3, cutoff=0.85) or close
    if close:
        return f"did you mean {' or '.join(repr(folded[each]) for each in close)}?"
    if not names:
        return "there is none to choose from"
    if len(names) <= _MAX_LISTED:
        return f"expected one of {', '.join(names)}"
    return f"expected one of {', '.join(names[:_MAX_LISTED])}, ... ({len(names)} in total)"
