"""Words for people, without a terminal: a cancellation explained, an event in one line, all that is open at a glance."""
