"""Nursery: the process that all others of the server are forked from; it imports this module, and waits.

https://docs.python.org/3/library/multiprocessing.html#multiprocessing.set_forkserver_preload

To import it ties the process to its parent: each fork holds the pipe by which Python's own fork server would hear that
the supervisor is gone, and ends only with the fork server itself.
"""

import os

from fhir_server import worker
from fhir_server.store import tether

__all__ = ["worker"]

tether.tie(os.getppid())
