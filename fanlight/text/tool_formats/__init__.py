"""Tool-call syntaxes: one file each, which turns a model's text into content and calls."""
