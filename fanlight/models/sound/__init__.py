"""One file per encoder of sound: its configuration, and what it makes of a window. An architecture that has one names it."""
