"""One module per noun of the API; each function is an operation (see control_room.operation)."""
