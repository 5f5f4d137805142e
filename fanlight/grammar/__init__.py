"""Structured output: from a JSON schema, a regular expression, a grammar or a structural tag to an automaton that says which
bytes may come next.  Knows no tokens, no model and no GPU."""

from fanlight.grammar.automaton import Automaton as Automaton
from fanlight.grammar.automaton import Matcher as Matcher
