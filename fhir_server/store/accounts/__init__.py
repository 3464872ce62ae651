"""Who may come in, and what they were given: clients, users, grants, and what passes between two requests."""
