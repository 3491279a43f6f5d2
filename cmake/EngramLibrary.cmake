# The one static library: the objects of every layer, and how it is installed.

get_property(ENGRAM_LAYERS GLOBAL PROPERTY ENGRAM_LAYERS)
set(engram_objects)
foreach(layer IN LISTS ENGRAM_LAYERS)
  list(APPEND engram_objects $<TARGET_OBJECTS:${layer}>)
endforeach()

# Empty without ENGRAM_ZIG_KERNELS.
add_library(engram ${engram_objects} ${ENGRAM_ZIG_OBJECTS})
add_library(engram::engram ALIAS engram)
target_compile_features(engram PUBLIC cxx_std_17)
target_include_directories(engram PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(engram
  PUBLIC absl::status absl::statusor absl::span absl::function_ref
  PRIVATE RocksDB::rocksdb-shared absl::flat_hash_map absl::synchronization absl::strings absl::str_format
          absl::time Threads::Threads)
if(ENGRAM_SANITIZE)
  target_link_options(engram PUBLIC -fsanitize=${ENGRAM_SANITIZE})
endif()
if(ENGRAM_SANITIZE MATCHES thread)
  include(${PROJECT_SOURCE_DIR}/tests/support/tsan.cmake)
endif()
set_target_properties(engram PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
if(ENGRAM_ZIG_KERNELS)
  add_dependencies(engram engram_zig_kernels)
endif()
