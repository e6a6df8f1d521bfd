"""The only reader of the environment and of configuration files.

An operator's own files lie in `config/`. Nothing here imports the rest of the worker.
"""
