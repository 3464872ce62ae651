"""MongoDB, and only here."""
