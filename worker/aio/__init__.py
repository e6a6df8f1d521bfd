"""Tools for asyncio that know nothing of cancellations."""
