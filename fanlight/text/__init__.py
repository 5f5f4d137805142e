"""Text around the engine: tokenizers, chat templates, stop strings, tool calls.  Knows no model, no GPU and no request."""
