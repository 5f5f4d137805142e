"""One file per vision tower: its configuration, and what it makes of a picture. An architecture that has one names it."""
