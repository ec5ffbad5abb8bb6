"""What people see in a terminal: each function makes a rich renderable of words of the API."""
