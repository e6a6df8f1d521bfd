"""Works on what is due: claims records, looks at jobs, decides by the domain's rules, calls, commits.

Nothing here reads messages or the environment.
"""
