//! Builds libengram_kernels.a: the sources of kernels/ once per level of
//! instruction set, each level one object that exports one table. The levels and
//! their classes are those of src/kernels/CMakeLists.txt.
const std = @import("std");

const Level = struct {
    name: []const u8,
    cpu: []const u8,
    /// What the level has that the CPU model has not.
    feature: ?[]const u8 = null,
    lanes: u8,
    accumulators: u8,
    fma: bool,
};

const x86_64_levels = [_]Level{
    .{ .name = "baseline", .cpu = "x86_64", .lanes = 4, .accumulators = 8, .fma = false },
    .{ .name = "v2", .cpu = "x86_64_v2", .lanes = 4, .accumulators = 8, .fma = false },
    .{ .name = "v3", .cpu = "x86_64_v3", .lanes = 8, .accumulators = 4, .fma = true },
    .{ .name = "v4", .cpu = "x86_64_v4", .lanes = 16, .accumulators = 4, .fma = true },
    .{
        .name = "v4vnni",
        .cpu = "x86_64_v4",
        .feature = "avx512vnni",
        .lanes = 16,
        .accumulators = 4,
        .fma = true,
    },
};
const aarch64_levels = [_]Level{
    .{ .name = "baseline", .cpu = "generic", .lanes = 4, .accumulators = 8, .fma = false },
    .{ .name = "neon", .cpu = "generic", .lanes = 4, .accumulators = 8, .fma = true },
    .{
        .name = "dotprod",
        .cpu = "generic",
        .feature = "dotprod",
        .lanes = 4,
        .accumulators = 8,
        .fma = true,
    },
};

pub fn build(b: *std.Build) void {
    const wanted = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const levels: []const Level = switch (wanted.result.cpu.arch) {
        .x86_64 => &x86_64_levels,
        .aarch64 => &aarch64_levels,
        else => std.debug.panic("no kernels for {s}", .{@tagName(wanted.result.cpu.arch)}),
    };

    const library = b.addLibrary(.{
        .name = "engram_kernels",
        .linkage = .static,
        .root_module = b.createModule(.{ .target = wanted, .optimize = optimize }),
    });
    for (levels) |level| {
        var query = wanted.query;
        query.cpu_model = .{ .explicit = cpuModel(wanted.result.cpu.arch, level.cpu) };
        if (level.feature) |name| query.cpu_features_add.addFeature(featureIndex(wanted.result.cpu.arch, name));
        const object = addLevel(b, level, b.resolveTargetQuery(query), optimize);
        library.root_module.addObject(object);
        // One by one too, so that libengram.a can hold them itself.
        const file = b.fmt("obj/{s}.o", .{object.name});
        const install = b.addInstallFileWithDir(object.getEmittedBin(), .prefix, file);
        b.getInstallStep().dependOn(&install.step);
    }
    b.installArtifact(library);
}

fn cpuModel(arch: std.Target.Cpu.Arch, name: []const u8) *const std.Target.Cpu.Model {
    return arch.parseCpuModel(name) orelse std.debug.panic("Zig knows no CPU {s}", .{name});
}

fn featureIndex(arch: std.Target.Cpu.Arch, name: []const u8) std.Target.Cpu.Feature.Set.Index {
    for (arch.allFeaturesList()) |feature| {
        if (std.mem.eql(u8, feature.name, name)) return feature.index;
    }
    std.debug.panic("Zig knows no feature {s}", .{name});
}

fn addLevel(
    b: *std.Build,
    level: Level,
    target: std.Build.ResolvedTarget,
    optimize: std.lang.Optimize,
) *std.Build.Step.Compile {
    const options = b.addOptions();
    options.addOption([]const u8, "name", level.name);
    options.addOption(u8, "lanes", level.lanes);
    options.addOption(u8, "accumulators", level.accumulators);
    options.addOption(bool, "fma", level.fma);

    // Nothing but memcpy and memset may be undefined: the object goes into a C++ program.
    const module = b.createModule(.{
        .root_source_file = b.path("kernels/table.zig"),
        .target = target,
        .optimize = optimize,
        .pic = true,
        .stack_check = false,
        .stack_protector = false,
        .unwind_tables = .none,
        .single_threaded = true,
        .strip = true,
    });
    module.addOptions("level", options);
    return b.addObject(.{
        .name = b.fmt("engram_kernels_zig_{s}", .{level.name}),
        .root_module = module,
    });
}
