"""The story of a programme's first weeks, told to a running server: its scenes, who takes part, how they sign in."""
