// A sample's record in `inputs`: see inputs.py.
fn sample_u32(b: u32, word: u32) -> u32 { return inputs[SAMPLES_AT + 16u * b + word]; }
fn sample_f32(b: u32, word: u32) -> f32 { return bitcast<f32>(inputs[SAMPLES_AT + 16u * b + word]); }
fn slot_of(b: u32) -> u32 { return sample_u32(b, 1u); }
fn top_k_of(b: u32) -> u32 { return sample_u32(b, 2u); }
fn temperature_of(b: u32) -> f32 { return sample_f32(b, 6u); }
fn top_p_of(b: u32) -> f32 { return sample_f32(b, 7u); }
fn min_p_of(b: u32) -> f32 { return sample_f32(b, 8u); }
fn frequency_of(b: u32) -> f32 { return sample_f32(b, 9u); }
fn presence_of(b: u32) -> f32 { return sample_f32(b, 10u); }
fn repetition_of(b: u32) -> f32 { return sample_f32(b, 11u); }
fn has_bias(b: u32) -> bool { return sample_u32(b, 12u) != 0u; }
fn grammar_of(b: u32) -> u32 { return sample_u32(b, 13u); }  // 0: none, else where its tables begin, plus 1
fn may_end(b: u32) -> bool { return (sample_u32(b, 14u) & 1u) != 0u; }
fn logprobs_of_draw(b: u32) -> bool { return (sample_u32(b, 14u) & 2u) != 0u; }
fn scored_of(b: u32) -> u32 { return sample_u32(b, 15u); }

struct Best {
    value: f32,
    token: u32,
}

// The larger value; of equals the smaller token.
fn better(a: Best, b: Best) -> Best {
    if (b.value > a.value || (b.value == a.value && b.token < a.token)) { return b; }
    return a;
}
