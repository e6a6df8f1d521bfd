"""Words for people, without a terminal: a cancellation explained, an event in a line, all that is open at a glance."""
