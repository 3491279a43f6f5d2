//! Dot product and squared L2 distance over a block of rows, one row at a time
//! with several independent accumulators of the level's own vector width. The twin
//! of src/kernels/similarity.cc: src/kernels/abi.h fixes the order of summation.
const level = @import("level");

const lanes: comptime_int = level.lanes;
const accumulators: comptime_int = level.accumulators;
const step = lanes * accumulators;
const Vector = @Vector(lanes, f32);
const Bits = @Vector(lanes, u32);

inline fn load(from: [*]const f32) Vector {
    return from[0..lanes].*;
}

/// The last floats of a row that fill no vector, taken as the vector that ends with
/// the row, less the lanes that were counted before.
const Tail = struct {
    floats: usize,
    keep: Bits,

    fn of(dimension: usize) Tail {
        const floats = dimension % lanes;
        var keep: [lanes]u32 = undefined;
        for (&keep, 0..) |*lane, l| lane.* = if (l >= lanes - floats) 0xffffffff else 0;
        return .{ .floats = floats, .keep = keep };
    }

    /// short: the row is shorter than a vector, and nothing before it may be read.
    inline fn load(tail: Tail, comptime short: bool, row: [*]const f32, dimension: usize) Vector {
        if (short) {
            var floats: [lanes]f32 = @splat(0);
            for (0..dimension) |i| floats[lanes - dimension + i] = row[i];
            return floats;
        }
        const last: Vector = row[dimension - lanes ..][0..lanes].*;
        return @bitCast(@as(Bits, @bitCast(last)) & tail.keep);
    }
};

inline fn multiplyAdd(sum: Vector, a: Vector, b: Vector) Vector {
    return if (level.fma) @mulAdd(Vector, a, b, sum) else sum + a * b;
}

const Dot = struct {
    inline fn add(sum: Vector, a: Vector, b: Vector) Vector {
        return multiplyAdd(sum, a, b);
    }
};
const L2 = struct {
    inline fn add(sum: Vector, a: Vector, b: Vector) Vector {
        return multiplyAdd(sum, a - b, a - b);
    }
};

inline fn reduce(partial: [accumulators]Vector) f32 {
    var sums = partial;
    comptime var half = accumulators / 2;
    inline while (half > 0) : (half /= 2) {
        inline for (0..half) |a| sums[a] += sums[a + half];
    }
    var sum = sums[0];
    comptime var distance = lanes / 2;
    inline while (distance > 0) : (distance /= 2) {
        // Adds the upper half of the first 2 * distance lanes to the lower.
        comptime var order: [lanes]i32 = undefined;
        inline for (0..lanes) |l| order[l] = (l + distance) % lanes;
        sum += @shuffle(f32, sum, undefined, order);
    }
    return sum[0];
}

/// `whole` vectors follow the unrolled steps: a number known here keeps the sums in
/// registers, where a test after every vector would not.
inline fn scoreRow(
    comptime Op: type,
    comptime whole: usize,
    comptime short: bool,
    query: [*]const f32,
    query_tail: Vector,
    row: [*]const f32,
    dimension: usize,
    tail: Tail,
) f32 {
    var sums: [accumulators]Vector = @splat(@splat(0));
    var i: usize = 0;
    while (i + step <= dimension) : (i += step) {
        inline for (0..accumulators) |a| {
            sums[a] = Op.add(sums[a], load(query + i + a * lanes), load(row + i + a * lanes));
        }
    }
    inline for (0..whole) |a| {
        sums[a] = Op.add(sums[a], load(query + i + a * lanes), load(row + i + a * lanes));
    }
    if (tail.floats > 0) {
        const last = accumulators - 1;
        sums[last] = Op.add(sums[last], query_tail, tail.load(short, row, dimension));
    }
    return reduce(sums);
}

inline fn scoreRowsOf(
    comptime Op: type,
    comptime whole: usize,
    comptime short: bool,
    query: [*]const f32,
    rows: [*]const f32,
    count: usize,
    dimension: usize,
    pitch: usize,
    out: [*]f32,
) void {
    const tail = Tail.of(dimension);
    const query_tail = tail.load(short, query, dimension);
    for (0..count) |i| {
        out[i] = scoreRow(Op, whole, short, query, query_tail, rows + i * pitch, dimension, tail);
    }
}

inline fn scoreRows(
    comptime Op: type,
    query: [*]const f32,
    rows: [*]const f32,
    count: usize,
    dimension: usize,
    pitch: usize,
    out: [*]f32,
) void {
    if (dimension < lanes) {
        return scoreRowsOf(Op, 0, true, query, rows, count, dimension, pitch, out);
    }
    switch (dimension % step / lanes) {
        inline 0...accumulators - 1 => |whole| {
            scoreRowsOf(Op, whole, false, query, rows, count, dimension, pitch, out);
        },
        else => unreachable,
    }
}

pub fn dot(
    query: [*]const f32,
    rows: [*]const f32,
    count: usize,
    dimension: usize,
    pitch: usize,
    out: [*]f32,
) callconv(.c) void {
    scoreRows(Dot, query, rows, count, dimension, pitch, out);
}

pub fn l2_squared(
    query: [*]const f32,
    rows: [*]const f32,
    count: usize,
    dimension: usize,
    pitch: usize,
    out: [*]f32,
) callconv(.c) void {
    scoreRows(L2, query, rows, count, dimension, pitch, out);
}
