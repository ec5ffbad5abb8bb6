"""Signed callbacks from the outbox, to addresses that may be called."""
