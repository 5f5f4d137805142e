const PER_BLOCK = 4u; // groups of 32 weights that share a scale
