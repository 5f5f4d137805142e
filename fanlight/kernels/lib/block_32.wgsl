const PER_BLOCK = 1u; // groups of 32 weights that share a scale
