"""The guide: one Markdown page per topic, shipped with the package and shown by `canceller guide`. No code."""
