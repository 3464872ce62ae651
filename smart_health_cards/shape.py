"""A JSON value taken for what it should be, or else for an empty one: how content from anywhere is read.

https://www.rfc-editor.org/rfc/rfc8259
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["is_text", "members", "objects"]


def members(value: object) -> Mapping[str, Any]:
    """The object itself, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The items of an array, each as an object; none when it is no array."""
    return [members(item) for item in value] if isinstance(value, list) else []


def is_text(value: object) -> bool:
    """Whether `value` is a string with more in it than white space."""
    return isinstance(value, str) and value.strip() != ""
