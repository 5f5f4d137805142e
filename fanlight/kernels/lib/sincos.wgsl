// (cos, sin) of an angle >= 0, to about 1e-7 of the f32 angle: Cody-Waite reduction by pi/2, then Taylor's polynomials on [-pi/4, pi/4].
fn cos_sin(angle: f32) -> vec2<f32> {
    let n = round(angle * 0.6366197723675814);
    var r = angle - n * 1.5703125;
    r = r - n * 4.837512969970703e-4;
    r = r - n * 7.549789948768648e-8;
    let r2 = r * r;
    let sine = r * (1.0 + r2 * (-0.16666666666 + r2 * (0.0083333333 + r2 * (-0.00019841270 + r2 * 2.7557319e-6))));
    let cosine = 1.0 + r2 * (-0.5 + r2 * (0.041666666667 + r2 * (-0.0013888889 + r2 * 2.4801587e-5)));
    let quadrant = u32(n) % 4u;
    let turned = select(vec2<f32>(cosine, sine), vec2<f32>(-sine, cosine), (quadrant & 1u) == 1u);
    return select(turned, -turned, quadrant >= 2u);
}
