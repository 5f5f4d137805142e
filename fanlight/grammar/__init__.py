"""Structured output: from a JSON schema, a regular expression, a grammar or a structural tag to an automaton that says which
bytes may come next.  Knows no tokens, no model and no GPU.

    formats       a format's type to expressions; compile_format
    schema        JSON Schema, with json_text (JSON's own syntax)
    ebnf          grammars in text (EBNF, GBNF)
    regex         regular expressions, with patterns (their syntax)
    regular       regular sets of texts and their algebra
    expressions   what all of these become: rules over bytes
    nfa           rules to one nondeterministic automaton; analysis: what is known of each rule
    determinize   to the deterministic one with a stack; needs: how much of the stack an end needs
    automaton     that automaton, and a walk through it
"""

from fanlight.grammar.automaton import Automaton as Automaton
from fanlight.grammar.automaton import Matcher as Matcher
from fanlight.grammar.formats import compile_format as compile_format
