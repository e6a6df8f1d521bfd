"""What the Lua scripts share, one duty a file. A script names what it includes in its header."""
