# Every layer of the library (kernels, storage, engine, api) is an object
# library with its own include path, so that an include against the direction
# of docs/ARCHITECTURE.md does not compile; EngramLibrary.cmake joins them.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Scores must not depend on what a compiler fuses: contraction is said in the
# kernels, by name, and happens nowhere else.
add_library(engram_compile_flags INTERFACE)
target_compile_options(engram_compile_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -ffp-contract=off)
# GCC 12 sees overlaps in "literal" + std::string that are not there (its bug 105651).
target_compile_options(engram_compile_flags INTERFACE
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
if(ENGRAM_SANITIZE)
  target_compile_options(engram_compile_flags INTERFACE
    -fsanitize=${ENGRAM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(engram_compile_flags INTERFACE -fsanitize=${ENGRAM_SANITIZE})
endif()
if(ENGRAM_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "ENGRAM_FUZZ needs Clang, which has libFuzzer: ./dev fuzz")
  endif()
  # UBSan leaves these casts out unless it is asked.
  target_compile_options(engram_compile_flags INTERFACE
    -fsanitize=fuzzer-no-link,float-cast-overflow -fno-sanitize-recover=all)
  target_link_options(engram_compile_flags INTERFACE -fsanitize=float-cast-overflow)
endif()

set_property(GLOBAL PROPERTY ENGRAM_LAYERS "")

# engram_add_layer(<name> SOURCES ... [INCLUDES ...] [USES layer ...] [LINKS lib ...])
# INCLUDES and USES are all that the sources of the layer can see.
function(engram_add_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;INCLUDES;USES;LINKS" ${ARGN})
  add_library(${name} OBJECT ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${ARG_INCLUDES})
  target_link_libraries(${name} PRIVATE engram_compile_flags PUBLIC ${ARG_LINKS})
  foreach(layer IN LISTS ARG_USES)
    target_include_directories(${name} PUBLIC
      $<TARGET_PROPERTY:${layer},INTERFACE_INCLUDE_DIRECTORIES>)
    target_link_libraries(${name} PUBLIC $<TARGET_PROPERTY:${layer},INTERFACE_LINK_LIBRARIES>)
  endforeach()
  set_property(GLOBAL APPEND PROPERTY ENGRAM_LAYERS ${name})
endfunction()
