"""Reminders by e-mail: written, sent once, and recorded as Communications."""
