"""Build-time tools; nothing here is installed."""
