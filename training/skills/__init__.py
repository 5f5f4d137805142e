"""One file per skill; each has `make(rng) -> Dialogue`, one exchange or a few that belong together."""
