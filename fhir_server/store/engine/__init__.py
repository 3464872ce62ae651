"""The embedded database: a process of its own, started, guarded and stopped."""
