"""What each job type needs: files before, a command, and a reading of what is left after."""
