"""Is a resource valid R4, and does it meet a profile: a library on its own."""
