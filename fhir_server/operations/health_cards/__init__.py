"""SMART Health Cards and Links of stored records: issued, foreseen, revoked, corrected, verified."""
