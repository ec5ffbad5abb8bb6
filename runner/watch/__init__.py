"""What a runner lets others see of itself: figures, traces, and whose work a line of its log is about."""
