"""Sends task messages to the broker, in bounded time.

Taking messages from it is the work of `worker.intake`.
"""
