"""What an operator decides: environment, backends file, Celery's settings, logs.

Nothing here imports `worker`; nothing outside `config.settings` reads the environment.
"""
