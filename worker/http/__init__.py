"""The only network IO to a backend: requests, credentials, TLS, and the remote probe.

Nothing here knows what a reply means; that is the adapters' work.
"""
