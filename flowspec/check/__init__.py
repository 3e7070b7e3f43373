"""Judge a posterior: with the truth known, without it, and against an explicit likelihood."""
