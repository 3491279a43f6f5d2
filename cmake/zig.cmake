# ENGRAM_ZIG_KERNELS=ON: finds Zig, of one exact version, since the language still
# changes with every release, and sets ENGRAM_ZIG_OBJECTS to the objects that
# `zig build` makes of zig/. Without the option this file is not read.

set(ENGRAM_ZIG_VERSION 0.17.0)
set(ENGRAM_ZIG_COMMAND "" CACHE STRING "How to call Zig (a list); empty: search for it")

# Sets <out> to the version that <command ...> says, or to what went wrong.
function(engram_zig_version out)
  execute_process(COMMAND ${ARGN} version OUTPUT_VARIABLE said ERROR_VARIABLE error
                  RESULT_VARIABLE result OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(result EQUAL 0)
    set(${out} "${said}" PARENT_SCOPE)
  else()
    set(${out} "not there" PARENT_SCOPE)
  endif()
endfunction()

function(engram_find_zig)
  set(tried "")
  foreach(candidate "${ENGRAM_ZIG_COMMAND}" "zig" "python3\;-m\;ziglang"
                    "${PROJECT_SOURCE_DIR}/.venv/bin/python\;-m\;ziglang")
    if(candidate STREQUAL "")
      continue()
    endif()
    string(REPLACE "\\;" ";" command "${candidate}")
    engram_zig_version(version ${command})
    if(version STREQUAL ENGRAM_ZIG_VERSION)
      set(ENGRAM_ZIG ${command} PARENT_SCOPE)
      message(STATUS "Zig ${version}: ${command}")
      return()
    endif()
    string(REPLACE ";" " " shown "${command}")
    string(APPEND tried "  ${shown}: ${version}\n")
  endforeach()
  message(FATAL_ERROR
    "ENGRAM_ZIG_KERNELS=ON wants Zig ${ENGRAM_ZIG_VERSION} exactly. Tried:\n${tried}"
    "Install it by\n  python3 -m venv .venv && .venv/bin/pip install ziglang==${ENGRAM_ZIG_VERSION}\n"
    "or build with the C++ kernels alone by -DENGRAM_ZIG_KERNELS=OFF.")
endfunction()

engram_find_zig()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(zig_target x86_64-linux-gnu)
  set(zig_levels baseline v2 v3 v4 v4vnni)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(zig_target aarch64-linux-gnu)
  set(zig_levels baseline neon dotprod)
else()
  message(FATAL_ERROR "ENGRAM_ZIG_KERNELS: no Zig kernels for ${CMAKE_SYSTEM_PROCESSOR}; "
                      "build with -DENGRAM_ZIG_KERNELS=OFF.")
endif()

# The first build fills Zig's own cache for more than a minute: it is kept between build folders.
if(DEFINED ENV{ZIG_GLOBAL_CACHE_DIR})
  set(ENGRAM_ZIG_CACHE "$ENV{ZIG_GLOBAL_CACHE_DIR}")
else()
  set(ENGRAM_ZIG_CACHE "${PROJECT_SOURCE_DIR}/.cache/zig")
endif()

set(zig_out "${PROJECT_BINARY_DIR}/zig")
set(ENGRAM_ZIG_OBJECTS "")
foreach(level IN LISTS zig_levels)
  list(APPEND ENGRAM_ZIG_OBJECTS "${zig_out}/obj/engram_kernels_zig_${level}.o")
endforeach()

file(GLOB_RECURSE zig_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/zig/*.zig")
# Zig leaves a file alone whose content did not change: the stamp says that it was asked.
add_custom_command(
  OUTPUT "${zig_out}/stamp"
  BYPRODUCTS ${ENGRAM_ZIG_OBJECTS} "${zig_out}/lib/libengram_kernels.a"
  COMMAND ${CMAKE_COMMAND} -E env "ZIG_GLOBAL_CACHE_DIR=${ENGRAM_ZIG_CACHE}"
          ${ENGRAM_ZIG} build -Doptimize=ReleaseFast -Dtarget=${zig_target}
          --prefix "${zig_out}" --cache-dir "${zig_out}/cache"
  COMMAND ${CMAKE_COMMAND} -E touch "${zig_out}/stamp"
  DEPENDS ${zig_sources}
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}/zig"
  COMMENT "Building the Zig kernels" VERBATIM)
add_custom_target(engram_zig_kernels DEPENDS "${zig_out}/stamp")
set_source_files_properties(${ENGRAM_ZIG_OBJECTS} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
