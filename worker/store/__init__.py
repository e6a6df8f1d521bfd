"""The only Redis for state: records, schedule, events, dead letters, and the scripts that change them.

Every transition is one Lua script. No rule of escalation and no HTTP here.
"""
