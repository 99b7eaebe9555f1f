"""The edge of the system: HTTP, terminal and processes. Everything below is importable without it."""
