"""What a process reports about itself: log lines, and texts from outside made safe to show."""
