"""Adapters: the pure translation between our words and each job system's wire format. PURE.

An adapter reports facts; `worker.domain.evidence` decides what they prove. No IO: calls are made by `worker.http`.
"""
