"""The Lua scripts, one for each transition."""
