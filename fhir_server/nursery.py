"""Nursery: the process that all others of the server are forked from; it imports this module, and waits.

https://docs.python.org/3/library/multiprocessing.html#multiprocessing.set_forkserver_preload

To import it ties the process to its parent: each fork holds the pipe by which Python's own fork server would hear that
the supervisor is gone, and ends only with the fork server itself.
"""

import gc
import os
from importlib import import_module

from fhir_server.store.engine import tether

# Nothing of what is imported is ever garbage, and to look for some takes a sixth of the time. Forks turn it on again.
gc.disable()
import_module("fhir_server.worker")

tether.tie(os.getppid())
