"""Index entries and relationships made anew of what was stored by earlier rules."""
