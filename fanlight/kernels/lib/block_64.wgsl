const PER_BLOCK = 2u; // groups of 32 weights that share a scale
