"""Limit how deeply and how widely the content of a file is nested, before anything walks it."""

from __future__ import annotations

from typing import Any

#: Containers in containers; recursive functions could not walk much more.
MAX_DEPTH = 100


def check_nesting(value: Any, max_items: int) -> None:
    """Check that a structure of dicts, lists and tuples can be walked.

    A file can hold a list that contains itself, or ten lists that each contain the previous one
    ten times: a few bytes that a recursive function never finishes.

    Args:
        value: the structure; its leaves can be anything.
        max_items: maximum number of values in all containers, shared containers counted at each
            place.

    Raises:
        ValueError: it is nested deeper than :data:`MAX_DEPTH`, contains itself, or has too many
            values.
    """
    if not isinstance(value, (dict, list, tuple)):
        return
    finished: dict[int, tuple[int, int]] = {}  # by id: depth and number of values
    ancestors: set[int] = set()
    stack: list[Any] = [value]
    while stack:
        node = stack[-1]
        values = node.values() if isinstance(node, dict) else node
        children = [each for each in values if isinstance(each, (dict, list, tuple))]
        todo = [each for each in children if id(each) not in finished]
        if todo:
            ancestors.add(id(node))
            if any(id(each) in ancestors for each in todo):
                raise ValueError("a container contains itself")
            if len(ancestors) > MAX_DEPTH:
                raise ValueError(f"more than {MAX_DEPTH} nested containers")
            stack += todo
            continue
        stack.pop()
        ancestors.discard(id(node))
        known = [finished[id(each)] for each in children]
        depth = 1 + max((depth for depth, _ in known), default=0)
        items = len(node) + sum(items for _, items in known)
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} nested containers")
        if items > max_items:
            raise ValueError("containers that contain each other many times")
        finished[id(node)] = depth, items
