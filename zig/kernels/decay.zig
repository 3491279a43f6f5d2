//! strength * 2^-(age / half_life) over arrays, with 2^x by a polynomial: a
//! library's exp2 is neither vectorised nor equal between systems. The twin of
//! src/kernels/decay.cc; no product is fused, so that both give equal bits.
const level = @import("level");

const lanes: comptime_int = level.lanes;
const Vector = @Vector(lanes, f32);
const Ints = @Vector(lanes, i32);

// 2^f = 1 + f P(f) on [-1/2, 1/2]; src/kernels/decay.cc says how it was found.
const exp2 = [_]f32{
    0x1.62e430p-1, 0x1.ebfbe0p-3,  0x1.c6af6cp-5,
    0x1.3b2a1cp-7, 0x1.5f0896p-10, 0x1.444004p-13,
};
// Added and taken away again, it rounds to the nearest integer, ties to even.
const round: f32 = 0x1.8p23;
// Below it both halves of the exponent would leave the normal range.
const least_exponent: f32 = -252;

inline fn all(value: f32) Vector {
    return @splat(value);
}

inline fn powerOfTwo(exponent: Ints) Vector {
    const biased: Ints = exponent +% @as(Ints, @splat(127));
    return @bitCast(biased << @as(@Vector(lanes, u5), @splat(23)));
}

inline fn decayed(strength: Vector, age: Vector, half_life: f32) Vector {
    // A NaN age compares false, here and below, and is taken for an endless one.
    const t = age / all(half_life);
    const x = @select(f32, t <= all(0), all(0), -t);
    const alive = x >= all(least_exponent);
    const bounded = @select(f32, alive, x, all(0));
    const shifted = bounded + all(round);
    const f = bounded - (shifted - all(round));
    const n = @as(Ints, @bitCast(shifted)) -% @as(Ints, @bitCast(all(round)));
    var p = all(exp2[5]);
    inline for (.{ 4, 3, 2, 1, 0 }) |i| p = p * f + all(exp2[i]);
    p = p * f + all(1);
    // In two halves, so that a great strength may still be seen where 2^x alone is no
    // normal number; the first goes to p, so that nothing overflows on the way.
    const half = n >> @as(@Vector(lanes, u5), @splat(1));
    const result = strength * (p * powerOfTwo(half)) * powerOfTwo(n -% half);
    return @select(f32, alive, result, all(0));
}

pub fn decay(
    strength: [*]const f32,
    age: [*]const f32,
    count: usize,
    half_life: f32,
    out: [*]f32,
) callconv(.c) void {
    var i: usize = 0;
    while (i + lanes <= count) : (i += lanes) {
        out[i..][0..lanes].* = decayed(strength[i..][0..lanes].*, age[i..][0..lanes].*, half_life);
    }
    if (i == count) return;
    var s: [lanes]f32 = @splat(0);
    var a: [lanes]f32 = @splat(0);
    for (i..count) |k| {
        s[k - i] = strength[k];
        a[k - i] = age[k];
    }
    const last: [lanes]f32 = decayed(s, a, half_life);
    for (i..count) |k| out[k] = last[k - i];
}
