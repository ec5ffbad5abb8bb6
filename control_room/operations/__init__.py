"""One module per noun of the API; each function is a talk (see control_room.talk)."""
