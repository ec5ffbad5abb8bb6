"""Claim, run, settle: how attempts are carried from the database to an executor and back."""
