"""Tether: becomes the given command, tied to its parent: when that ends, however it ends, the kernel kills the command.

https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

Run as a script, `python -I tether.py PARENT_PID COMMAND...`. A request made between fork and exec of the parent itself
would run Python code in a copy of a process with threads. Linux only; elsewhere the command simply starts.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to the parent with that id, then become the command."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the daemon's own path, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
