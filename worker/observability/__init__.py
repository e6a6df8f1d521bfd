"""What a process reports about itself: log lines, metrics and traces; texts from outside are made safe to show."""
