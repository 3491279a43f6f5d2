//! src/kernels/abi.h in Zig: the contract is written there, and the layouts are
//! held to it here when this is compiled.

pub const Edges = extern struct {
    offsets: [*]const u32,
    targets: [*]const u32,
    weights: [*]const f32,
    first_node: u32,
    count: u32,
};

pub const DotKernel = fn (
    query: [*]const f32,
    rows: [*]const f32,
    count: usize,
    dimension: usize,
    pitch: usize,
    out: [*]f32,
) callconv(.c) void;

pub const PushKernel = fn (
    edges: *const Edges,
    activation: [*]const f32,
    next: [*]f32,
) callconv(.c) void;

pub const FrontierKernel = fn (
    edges: *const Edges,
    active: [*]const u32,
    active_count: usize,
    activation: [*]const f32,
    next: [*]f32,
    seen: [*]u8,
    touched: [*]u32,
    touched_count: usize,
) callconv(.c) usize;

pub const DecayKernel = fn (
    strength: [*]const f32,
    age: [*]const f32,
    count: usize,
    half_life: f32,
    out: [*]f32,
) callconv(.c) void;

pub const superblock_rows = 64;

pub const CodeQuery = extern struct {
    query: [*]const i8,
    groups: u32,
    bias: i32,
    residual: f32,
    tail: f32,
    norm: f32,
    threshold: f32,
};

pub const EstimateKernel = fn (
    query: *const CodeQuery,
    superblocks: [*]const u8,
    norms: ?[*]const f32,
    count: usize,
    out: [*]f32,
) callconv(.c) void;

pub const ScanKernel = fn (
    query: *const CodeQuery,
    superblocks: [*]const u8,
    norms: ?[*]const f32,
    count: usize,
    rows: [*]u32,
    bounds: [*]f32,
    found: usize,
) callconv(.c) usize;

pub const FineKernel = fn (
    query: [*]const i16,
    rows: [*]const i8,
    pitch: usize,
    dimension: usize,
    which: [*]const u32,
    count: usize,
    out: [*]i32,
) callconv(.c) void;

pub const Kernels = extern struct {
    name: [*:0]const u8,
    lanes: c_uint,
    accumulators: c_uint,
    fma: c_int,
    dot: *const DotKernel,
    l2_squared: *const DotKernel,
    push: *const PushKernel,
    pull: *const PushKernel,
    frontier: *const FrontierKernel,
    decay: *const DecayKernel,
    estimate: *const EstimateKernel,
    scan: *const ScanKernel,
    fine: *const FineKernel,
};

comptime {
    const assert = @import("std").debug.assert;
    assert(@sizeOf(Edges) == 32 and @offsetOf(Edges, "first_node") == 24);
    assert(@sizeOf(CodeQuery) == 32 and @offsetOf(CodeQuery, "threshold") == 28);
    assert(@sizeOf(Kernels) == 96 and @offsetOf(Kernels, "fma") == 16);
    assert(@offsetOf(Kernels, "dot") == 24 and @offsetOf(Kernels, "decay") == 64);
    assert(@offsetOf(Kernels, "estimate") == 72 and @offsetOf(Kernels, "fine") == 88);
}
