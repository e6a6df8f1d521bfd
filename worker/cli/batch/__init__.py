"""`batch`: clean-ups of many jobs: which ones, what would be done, doing it, and watching it."""
