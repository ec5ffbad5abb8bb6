"""The pages of docs/ that are made and not written: each is what a room says of itself."""
