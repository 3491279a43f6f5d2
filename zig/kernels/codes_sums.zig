//! The integer sums of codes.zig, by the best products that the level has: of unsigned and signed
//! bytes into int32 (AVX-512 VNNI, NEON dot products) or in pairs into int16 (SSSE3 and above), or
//! what is left. Integers do not care for an order: all give the same.
const abi = @import("abi.zig");
const cpu = @import("builtin").cpu;
const level = @import("level");

const lanes: comptime_int = level.lanes;
const vectors = abi.superblock_rows / lanes;
const Ints = @Vector(lanes, i32);
const Shorts = @Vector(2 * lanes, i16);
const Bytes = @Vector(4 * lanes, u8);

fn ascending(comptime count: usize, from: i32) [count]i32 {
    var order: [count]i32 = undefined;
    for (&order, 0..) |*index, i| index.* = from + @as(i32, i);
    return order;
}

const Form = enum { dot, pairs, words, long, plain };

// Every aarch64 CPU has NEON; baseline does without, and is what any CPU can run.
const form: Form = if (cpu.has(.x86, .avx512vnni) or cpu.has(.aarch64, .dotprod))
    .dot
else if (cpu.has(.x86, .ssse3))
    .pairs
else if (cpu.has(.x86, .sse2))
    .words
else if (cpu.has(.aarch64, .neon) and level.fma)
    .long
else
    .plain;

extern fn @"llvm.x86.avx512.vpdpbusd.512"(Ints, Bytes, Bytes) Ints;
extern fn @"llvm.aarch64.neon.sdot.v4i32.v16i8"(Ints, Bytes, Bytes) Ints;
extern fn @"llvm.x86.avx512.pmaddubs.w.512"(Bytes, Bytes) Shorts;
extern fn @"llvm.x86.avx2.pmadd.ub.sw"(Bytes, Bytes) Shorts;
extern fn @"llvm.x86.ssse3.pmadd.ub.sw.128"(Bytes, Bytes) Shorts;
extern fn @"llvm.x86.avx512.pmaddw.d.512"(Shorts, Shorts) Ints;
extern fn @"llvm.x86.avx2.pmadd.wd"(Shorts, Shorts) Ints;
extern fn @"llvm.x86.sse2.pmadd.wd"(Shorts, Shorts) Ints;
extern fn @"llvm.aarch64.neon.addp.v8i16"(Shorts, Shorts) Shorts;
extern fn @"llvm.aarch64.neon.saddlp.v4i32.v8i16"(Shorts) Ints;

/// Unsigned by signed bytes, added by fours to `sum`. Codes are small enough to pass for signed.
inline fn addDot(sum: Ints, codes: Bytes, query: Bytes) Ints {
    if (lanes == 16) return @"llvm.x86.avx512.vpdpbusd.512"(sum, codes, query);
    return @"llvm.aarch64.neon.sdot.v4i32.v16i8"(sum, codes, query);
}

/// Unsigned by signed bytes, added by twos.
inline fn pairBytes(codes: Bytes, query: Bytes) Shorts {
    return switch (lanes) {
        16 => @"llvm.x86.avx512.pmaddubs.w.512"(codes, query),
        8 => @"llvm.x86.avx2.pmadd.ub.sw"(codes, query),
        else => @"llvm.x86.ssse3.pmadd.ub.sw.128"(codes, query),
    };
}

inline fn pairShorts(a: Shorts, b: Shorts) Ints {
    return switch (lanes) {
        16 => @"llvm.x86.avx512.pmaddw.d.512"(a, b),
        8 => @"llvm.x86.avx2.pmadd.wd"(a, b),
        else => @"llvm.x86.sse2.pmadd.wd"(a, b),
    };
}

/// How far ahead codes are asked for, where a vector is a whole line: what a CPU fetches by itself
/// ends with its page, and codes that lie in memory are then waited for at the start of each.
const ahead_of_codes = 8192;

inline fn load(from: [*]const u8) Bytes {
    if (lanes == 16) @prefetch(from + ahead_of_codes, .{});
    return from[0 .. 4 * lanes].*;
}

/// Four codes of the query in every lane.
inline fn repeat(query: [*]const i8) Bytes {
    const four: i32 = @bitCast(query[0..4].*);
    return @bitCast(@as(Ints, @splat(four)));
}

inline fn low(both: Bytes) Bytes {
    return both & @as(Bytes, @splat(0x0F));
}

inline fn high(both: Bytes) Bytes {
    return both >> @as(@Vector(4 * lanes, u3), @splat(4));
}

/// The sums of query and code of a superblock's rows.
pub inline fn sumCodes(query: [*]const i8, groups: usize, codes: [*]const u8) [vectors]Ints {
    if (form == .dot) return sumDots(query, groups, codes);
    if (form == .plain) return sumPlain(query, groups, codes);
    return sumRuns(query, groups, codes);
}

/// On x86 the high codes are left where they are and counted sixteenfold, which no int32
/// overflows at 8192 groups.
inline fn sumDots(query: [*]const i8, groups: usize, codes: [*]const u8) [vectors]Ints {
    const apart = lanes == 16;
    var sums: [vectors]Ints = @splat(@splat(0));
    var great: [if (apart) vectors else 0]Ints = @splat(@splat(0));
    for (0..groups) |g| {
        const query_low = repeat(query + 8 * g);
        const query_high = repeat(query + 8 * g + 4);
        inline for (0..vectors) |v| {
            const both = load(codes + 256 * g + 4 * lanes * v);
            sums[v] = addDot(sums[v], low(both), query_low);
            if (apart) {
                great[v] = addDot(great[v], both & @as(Bytes, @splat(0xF0)), query_high);
            } else {
                sums[v] = addDot(sums[v], high(both), query_high);
            }
        }
    }
    if (apart) {
        const four: @Vector(lanes, u5) = @splat(4);
        inline for (0..vectors) |v| sums[v] +%= great[v] >> four;
    }
    return sums;
}

/// Up to four groups, which is what an int16 holds of sums of 4 * 15 * 127.
const run_groups = 4;

/// The vectors that are summed at one time: as many as leave registers for their operands.
/// The run is in the nearest cache when it is gone through again.
const held = if (lanes == 4) 4 else vectors;

inline fn sumRuns(query: [*]const i8, groups: usize, codes: [*]const u8) [vectors]Ints {
    var sums: [vectors]Ints = @splat(@splat(0));
    var g: usize = 0;
    while (g < groups) : (g += run_groups) {
        // One loop for whole runs and the last: a CPU learns by instruction what to fetch ahead.
        const run = @min(run_groups, groups - g);
        inline for (0..vectors / held) |part| {
            const from = codes + 256 * g + 4 * lanes * held * part;
            addRun(query + 8 * g, run, from, sums[held * part ..][0..held]);
        }
    }
    return sums;
}

inline fn addRun(query: [*]const i8, groups: usize, codes: [*]const u8, sums: *[held]Ints) void {
    var parts: [held]Part = @splat(.{});
    for (0..groups) |g| {
        const operand = Operand.of(query + 8 * g);
        inline for (0..held) |v| {
            parts[v] = parts[v].add(load(codes + 256 * g + 4 * lanes * v), operand);
        }
    }
    inline for (0..held) |v| sums[v] +%= parts[v].total();
}

const Part = switch (form) {
    .pairs => Pairs,
    .words => Words,
    else => Long,
};
const Operand = Part.Operand;

const Pairs = struct {
    sum: Shorts = @splat(0),

    const Operand = struct {
        low: Bytes,
        high: Bytes,

        inline fn of(query: [*]const i8) Pairs.Operand {
            return .{ .low = repeat(query), .high = repeat(query + 4) };
        }
    };

    inline fn add(part: Pairs, both: Bytes, query: Pairs.Operand) Pairs {
        const group = pairBytes(low(both), query.low) +% pairBytes(high(both), query.high);
        return .{ .sum = part.sum +% group };
    }

    inline fn total(part: Pairs) Ints {
        return pairShorts(part.sum, @splat(1));
    }
};

/// Without products of bytes: the nibbles of a 16-bit word are dimensions b, b + 4, b + 1, b + 5,
/// where b is 0 in a lane's first word and 2 in its second.
const Words = struct {
    sum: Ints = @splat(0),

    const Operand = struct {
        nibbles: [4]Shorts,

        inline fn of(query: [*]const i8) Words.Operand {
            const wide: @Vector(8, i16) = @as(@Vector(8, i8), query[0..8].*);
            var nibbles: [4]Shorts = undefined;
            inline for (.{ 0, 4, 1, 5 }, &nibbles) |b, *nibble| {
                nibble.* = @shuffle(i16, wide, undefined, everySecond(b));
            }
            return .{ .nibbles = nibbles };
        }
    };

    fn everySecond(b: i32) [2 * lanes]i32 {
        var order: [2 * lanes]i32 = undefined;
        for (&order, 0..) |*index, i| index.* = b + 2 * @as(i32, i % 2);
        return order;
    }

    inline fn add(part: Words, both: Bytes, query: Words.Operand) Words {
        const words: @Vector(2 * lanes, u16) = @bitCast(both);
        var products: [4]Ints = undefined;
        inline for (&products, query.nibbles, 0..) |*product, nibble, i| {
            const shift: @Vector(2 * lanes, u4) = @splat(4 * i);
            const code = (words >> shift) & @as(@Vector(2 * lanes, u16), @splat(0x0F));
            product.* = pairShorts(@bitCast(code), nibble);
        }
        return .{ .sum = part.sum +% ((products[0] +% products[1]) +% (products[2] +% products[3])) };
    }

    inline fn total(part: Words) Ints {
        return part.sum;
    }
};

/// Products of NEON, eight at a time: four groups of at most 2 * 15 * 127 each, and two of them
/// added.
const Long = struct {
    first: Shorts = @splat(0),
    second: Shorts = @splat(0),

    const Operand = struct {
        low: Bytes,
        high: Bytes,

        inline fn of(query: [*]const i8) Long.Operand {
            return .{ .low = repeat(query), .high = repeat(query + 4) };
        }
    };

    inline fn half(bytes: Bytes, comptime from: i32) Shorts {
        const signed: @Vector(16, i8) = @bitCast(bytes);
        return @as(Shorts, @shuffle(i8, signed, undefined, ascending(8, from)));
    }

    inline fn add(part: Long, both: Bytes, query: Long.Operand) Long {
        var sum = part;
        sum.first +%= half(low(both), 0) *% half(query.low, 0);
        sum.second +%= half(low(both), 8) *% half(query.low, 8);
        sum.first +%= half(high(both), 0) *% half(query.high, 0);
        sum.second +%= half(high(both), 8) *% half(query.high, 8);
        return sum;
    }

    inline fn total(part: Long) Ints {
        const both = @"llvm.aarch64.neon.addp.v8i16"(part.first, part.second);
        return @"llvm.aarch64.neon.saddlp.v4i32.v8i16"(both);
    }
};

/// A row's eight codes are the nibbles of one little-endian word.
inline fn sumPlain(query: [*]const i8, groups: usize, codes: [*]const u8) [vectors]Ints {
    var sums: [vectors]Ints = @splat(@splat(0));
    for (0..groups) |g| {
        const q = query + 8 * g;
        for (&sums, 0..) |*sum, v| {
            const words: @Vector(lanes, u32) = @bitCast(load(codes + 256 * g + 4 * lanes * v));
            inline for (0..8) |nibble| {
                const shift: @Vector(lanes, u5) = @splat(4 * nibble);
                const code: Ints = @bitCast((words >> shift) & @as(@Vector(lanes, u32), @splat(15)));
                const at = nibble / 2 + nibble % 2 * 4;
                sum.* +%= code *% @as(Ints, @splat(q[at]));
            }
        }
    }
    return sums;
}

/// One step of a row of 8-bit codes.
pub const step = if (cpu.arch == .x86_64) 2 * lanes else 16;
pub const Products = Ints;

pub inline fn addProducts(sum: Products, query: *const [step]i16, row: *const [step]i8) Products {
    const codes: @Vector(step, i16) = @as(@Vector(step, i8), row.*);
    const wide: @Vector(step, i16) = query.*;
    if (cpu.arch == .x86_64) return sum +% pairShorts(codes, wide);
    var added = sum;
    inline for (0..step / lanes) |part| {
        const order = comptime ascending(lanes, part * lanes);
        const a: Ints = @as(@Vector(lanes, i16), @shuffle(i16, codes, undefined, order));
        const b: Ints = @as(@Vector(lanes, i16), @shuffle(i16, wide, undefined, order));
        added +%= a *% b;
    }
    return added;
}
