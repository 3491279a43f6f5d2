//! One step of spreading activation over a run of edges, in three forms: push
//! from every node, pull over a transpose, push from a frontier. The twin of
//! src/kernels/spreading.cc: src/kernels/abi.h fixes the order of every sum and
//! that no product is fused.
const abi = @import("abi.zig");

/// How many edges ahead a node's activation is asked for: its place is random in
/// an array that may exceed the cache.
const ahead = 24;

pub fn push(edges: *const abi.Edges, activation: [*]const f32, next: [*]f32) callconv(.c) void {
    const offsets = edges.offsets;
    const targets = edges.targets;
    const weights = edges.weights;
    const last: usize = offsets[edges.count];
    for (0..edges.count) |i| {
        const source = activation[edges.first_node + i];
        if (source == 0) continue;
        for (offsets[i]..offsets[i + 1]) |e| {
            if (e + ahead < last) @prefetch(&next[targets[e + ahead]], .{ .rw = .write });
            next[targets[e]] += source * weights[e];
        }
    }
}

pub fn pull(edges: *const abi.Edges, activation: [*]const f32, next: [*]f32) callconv(.c) void {
    const offsets = edges.offsets;
    const sources = edges.targets;
    const weights = edges.weights;
    const last: usize = offsets[edges.count];
    for (0..edges.count) |i| {
        var sums: [4]f32 = @splat(0);
        var e: usize = offsets[i];
        const end: usize = offsets[i + 1];
        if (end + ahead <= last) {
            for (e..end) |k| @prefetch(&activation[sources[k + ahead]], .{});
        }
        while (e + 4 <= end) : (e += 4) {
            inline for (0..4) |j| sums[j] += activation[sources[e + j]] * weights[e + j];
        }
        inline for (0..3) |j| {
            if (e + j < end) sums[j] += activation[sources[e + j]] * weights[e + j];
        }
        next[edges.first_node + i] += (sums[0] + sums[2]) + (sums[1] + sums[3]);
    }
}

pub fn frontier(
    edges: *const abi.Edges,
    active: [*]const u32,
    active_count: usize,
    activation: [*]const f32,
    next: [*]f32,
    seen: [*]u8,
    touched: [*]u32,
    touched_count: usize,
) callconv(.c) usize {
    var count = touched_count;
    for (active[0..active_count]) |from| {
        const source = activation[from];
        const node = from - edges.first_node;
        for (edges.offsets[node]..edges.offsets[node + 1]) |e| {
            const target = edges.targets[e];
            next[target] += source * edges.weights[e];
            // Written whether or not it is new: which of the two is hard to foresee.
            touched[count] = target;
            count += @intFromBool(seen[target] == 0);
            seen[target] = 1;
        }
    }
    return count;
}
