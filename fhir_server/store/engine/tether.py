"""Tether: ties a process to its parent: when that ends, however it ends, the kernel kills the process.

https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

Run as a script, `python -I tether.py PARENT_PID COMMAND...`, it becomes the command. A request made between fork and
exec of the parent itself would run Python code in a copy of a process with threads. Linux only; elsewhere the command
simply starts.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


def main(arguments: list[str]) -> None:
    """Tie this process to the parent with that id, then become the command."""
    parent, command = int(arguments[0]), arguments[1:]
    tie(parent)
    os.execv(command[0], command)  # noqa: S606 - the daemon's own path, no shell


def tie(parent: int) -> None:
    """Have this process killed with its parent; it ends here where another than that has become its parent already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)


def name(words: str) -> None:
    """What `ps` and `top` call this process: up to 15 characters."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, words.encode(), 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
