//! Rows of codes held against a query: the bounds of superblocks, the rows that reach a
//! threshold, and exact sums of 8-bit codes. The twin of src/kernels/codes.cc: every operation
//! of floats is rounded by itself in the order of src/kernels/abi.h, so that all give equal bits.
const abi = @import("abi.zig");
const level = @import("level");
const sums = @import("codes_sums.zig");

const lanes: comptime_int = level.lanes;
const rows_of = abi.superblock_rows;
const vectors = rows_of / lanes;
const Floats = @Vector(lanes, f32);
const Ints = @Vector(lanes, i32);
const Passed = @Vector(lanes, bool);

// What lies behind the groups of a superblock.
const group_bytes = 256;
const residuals = rows_of * @sizeOf(f32);
const tails = residuals + rows_of;
const trailer_bytes = tails + rows_of;

inline fn loadBytes(from: [*]const u8) Floats {
    const bytes: @Vector(lanes, u8) = from[0..lanes].*;
    return @floatFromInt(@as(Ints, bytes));
}

inline fn loadFloats(from: [*]const u8) Floats {
    // By way of a vector: an array is taken for one long integer.
    const bytes: @Vector(lanes * @sizeOf(f32), u8) = from[0 .. lanes * @sizeOf(f32)].*;
    return @bitCast(bytes);
}

inline fn all(value: f32) Floats {
    return @splat(value);
}

/// `norms`: of the superblock's first row.
inline fn bound(query: *const abi.CodeQuery, superblock: [*]const u8, norms: ?[*]const f32) [vectors]Floats {
    const codes = sums.sumCodes(query.query, query.groups, superblock);
    const trailer = superblock + @as(usize, query.groups) * group_bytes;
    var bounds: [vectors]Floats = undefined;
    inline for (0..vectors) |v| {
        const row = v * lanes;
        const residual = loadBytes(trailer + residuals + row) * all(query.residual);
        const tail = loadBytes(trailer + tails + row) * all(query.tail);
        const sum: Floats = @floatFromInt(codes[v] +% codes[v] -% @as(Ints, @splat(query.bias)));
        bounds[v] = loadFloats(trailer + row * @sizeOf(f32)) * ((sum + residual) + tail);
        if (norms) |n| {
            const norm: Floats = n[row..][0..lanes].*;
            bounds[v] = bounds[v] - (norm * norm) * all(query.norm);
        }
    }
    return bounds;
}

inline fn compress(comptime T: type, vector: @Vector(16, T), bits: u16) @Vector(16, T) {
    return asm ("vpcompressd %[from], %[to] {%[mask]} {z}"
        : [to] "=v" (-> @Vector(16, T)),
        : [from] "v" (vector),
          [mask] "^Yk" (bits),
    );
}

/// Where a vector can be compressed, that is done in a register and stored whole: a store that
/// compresses is slow where it is microcode, and there is room behind the last row.
inline fn append(
    bounds: Floats,
    passed: Passed,
    first: u32,
    rows: [*]u32,
    out: [*]f32,
    found: usize,
) usize {
    const Bits = @Int(.unsigned, lanes);
    var bits: Bits = @bitCast(passed);
    if (lanes == 16) {
        const order: @Vector(16, u32) = .{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
        rows[found..][0..16].* = compress(u32, order + @as(@Vector(16, u32), @splat(first)), bits);
        out[found..][0..16].* = compress(f32, bounds, bits);
        return found + @popCount(bits);
    }
    const each: [lanes]f32 = bounds;
    var end = found;
    while (bits != 0) : (bits &= bits - 1) {
        const lane = @ctz(bits);
        rows[end] = first + lane;
        out[end] = each[lane];
        end += 1;
    }
    return end;
}

inline fn estimateAll(
    query: *const abi.CodeQuery,
    superblocks: [*]const u8,
    norms: ?[*]const f32,
    count: usize,
    out: [*]f32,
) void {
    const pitch = @as(usize, query.groups) * group_bytes + trailer_bytes;
    for (0..count) |i| {
        const of_block = if (norms) |n| n + i * rows_of else null;
        const bounds = bound(query, superblocks + i * pitch, of_block);
        inline for (0..vectors) |v| out[i * rows_of + v * lanes ..][0..lanes].* = bounds[v];
    }
}

pub fn estimate(
    query: *const abi.CodeQuery,
    superblocks: [*]const u8,
    norms: ?[*]const f32,
    count: usize,
    out: [*]f32,
) callconv(.c) void {
    @setEvalBranchQuota(10_000);
    // Two loops, so that neither asks for every superblock.
    if (norms) |n| return estimateAll(query, superblocks, n, count, out);
    estimateAll(query, superblocks, null, count, out);
}

inline fn scanAll(
    query: *const abi.CodeQuery,
    superblocks: [*]const u8,
    norms: ?[*]const f32,
    count: usize,
    rows: [*]u32,
    out: [*]f32,
    found: usize,
) usize {
    const pitch = @as(usize, query.groups) * group_bytes + trailer_bytes;
    const threshold = all(query.threshold);
    var end = found;
    for (0..count) |i| {
        const of_block = if (norms) |n| n + i * rows_of else null;
        const bounds = bound(query, superblocks + i * pitch, of_block);
        var any = bounds[0] >= threshold;
        inline for (1..vectors) |v| any = any | (bounds[v] >= threshold);
        if (@as(@Int(.unsigned, lanes), @bitCast(any)) != 0) {
            @branchHint(.unlikely);
            inline for (0..vectors) |v| {
                const first: u32 = @truncate(i * rows_of + v * lanes);
                end = append(bounds[v], bounds[v] >= threshold, first, rows, out, end);
            }
        }
    }
    return end;
}

pub fn scan(
    query: *const abi.CodeQuery,
    superblocks: [*]const u8,
    norms: ?[*]const f32,
    count: usize,
    rows: [*]u32,
    bounds: [*]f32,
    found: usize,
) callconv(.c) usize {
    @setEvalBranchQuota(10_000); // everything is inlined into here
    if (norms) |n| return scanAll(query, superblocks, n, count, rows, bounds, found);
    return scanAll(query, superblocks, null, count, rows, bounds, found);
}

const step = sums.step;

/// The products of one row, less the codes at its end that fill no step; those are the last of
/// `last`, against a query that is zero for what was counted before.
inline fn sumRow(
    query: [*]const i16,
    row: [*]const i8,
    dimension: usize,
    query_last: *const [step]i16,
    last: *const [step]i8,
) i32 {
    var parts: [4]sums.Products = @splat(@splat(0));
    var j: usize = 0;
    while (j + 4 * step <= dimension) : (j += 4 * step) {
        inline for (0..4) |p| {
            const at = j + p * step;
            parts[p] = sums.addProducts(parts[p], query[at..][0..step], row[at..][0..step]);
        }
    }
    while (j + step <= dimension) : (j += step) {
        parts[0] = sums.addProducts(parts[0], query[j..][0..step], row[j..][0..step]);
    }
    if (j < dimension) parts[1] = sums.addProducts(parts[1], query_last, last);
    return @reduce(.Add, (parts[0] +% parts[1]) +% (parts[2] +% parts[3]));
}

/// How many places of `which` a row is asked for ahead, and how much of it.
const ahead = 16;
const asked_bytes = 1024;
const line = 64;

inline fn ask(row: [*]const i8, dimension: usize) void {
    const end = @min(dimension, asked_bytes);
    var j: usize = 0;
    while (j < end) : (j += line) @prefetch(row + j, .{});
    @prefetch(row + end - 1, .{});
}

pub fn fine(
    query: [*]const i16,
    rows: [*]const i8,
    pitch: usize,
    dimension: usize,
    which: [*]const u32,
    count: usize,
    out: [*]i32,
) callconv(.c) void {
    const rest = dimension % step;
    var query_last: [step]i16 = @splat(0);
    for (0..rest) |i| query_last[step - rest + i] = query[dimension - rest + i];
    // Nothing before a short row may be read.
    var copy: [step]i8 = @splat(0);
    for (0..@min(ahead, count)) |i| ask(rows + which[i] * pitch, dimension);
    for (0..count) |i| {
        const row = rows + which[i] * pitch;
        if (i + ahead < count) ask(rows + which[i + ahead] * pitch, dimension);
        if (dimension < step) {
            for (0..dimension) |j| copy[step - dimension + j] = row[j];
            out[i] = sumRow(query, row, dimension, &query_last, &copy);
        } else {
            const last = (row + dimension - step)[0..step];
            out[i] = sumRow(query, row, dimension, &query_last, last);
        }
    }
}
