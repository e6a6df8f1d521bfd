"""The only Redis for state: records, schedule, events, dead letters, and the scripts that change them.

Workers write with `store.py`, everyone reads with `reader.py` and `event_log.py`. Every transition is one Lua script
under `lua/`. No rule of escalation and no HTTP here.
"""
