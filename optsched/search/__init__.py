"""How large instances are handled, for any family."""
