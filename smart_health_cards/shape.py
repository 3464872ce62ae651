"""A JSON value taken for what it should be, or else for an empty one: how content from anywhere is read.

https://www.rfc-editor.org/rfc/rfc8259
"""

from typing import Any

__all__ = ["is_text", "members", "objects"]


def members(value: object) -> dict[str, Any]:
    """The object itself, or an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    """The items of an array, each as an object; none when it is no array."""
    if not isinstance(value, list):
        return []
    for item in value:
        if not isinstance(item, dict):
            break
    else:
        return value
    return [item if isinstance(item, dict) else {} for item in value]


def is_text(value: object) -> bool:
    """Whether `value` is a string with more in it than white space."""
    return isinstance(value, str) and value.strip() != ""
