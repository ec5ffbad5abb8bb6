"""Words of the runner. No input, no output: everything here is a value."""
