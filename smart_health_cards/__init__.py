"""SMART Health Cards and Links, issued and verified: a library on its own."""
