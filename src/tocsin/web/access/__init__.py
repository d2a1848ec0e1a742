"""Who may come in: sessions, passwords, API tokens."""
