//! The level's table: the one symbol of it that is exported.
const abi = @import("abi.zig");
const codes = @import("codes.zig");
const decay = @import("decay.zig");
const level = @import("level");
const similarity = @import("similarity.zig");
const spreading = @import("spreading.zig");

const table: abi.Kernels = .{
    .name = "zig-" ++ level.name,
    .lanes = level.lanes,
    .accumulators = level.accumulators,
    .fma = @intFromBool(level.fma),
    .dot = similarity.dot,
    .l2_squared = similarity.l2_squared,
    .push = spreading.push,
    .pull = spreading.pull,
    .frontier = spreading.frontier,
    .decay = decay.decay,
    .estimate = codes.estimate,
    .scan = codes.scan,
    .fine = codes.fine,
};

comptime {
    @export(&table, .{ .name = "engram_kernels_zig_" ++ level.name, .visibility = .hidden });
}
