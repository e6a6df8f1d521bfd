"""PURE: whose word counts. All that may end, force or excuse a cancellation is weighed here, and nowhere else.

Adapters report typed facts (`model.Observation`, `model.Answer`, each with its `Source`) and never decide what is
believed. The rules by file: `doubt`, answers that may not be the backend's own; `ending`, when an end is proven;
`family`, what is remembered of children; `clock`, when a backend's clock counts; `effect`, when an end may be our
doing; `words`, what somebody's word or the second source proves; `outage`, what speaks against a backend as a whole.
No decision of what to do next belongs here: that is `worker.domain.escalation`.
"""
