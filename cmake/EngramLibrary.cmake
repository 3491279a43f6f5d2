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
          absl::time PkgConfig::UTF8PROC Threads::Threads)
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

# What an application needs to build against the library: see tests/install.
if(PROJECT_IS_TOP_LEVEL)
  include(CMakePackageConfigHelpers)
  set(engram_package ${CMAKE_INSTALL_LIBDIR}/cmake/Engram)
  set_target_properties(engram PROPERTIES EXPORT_NAME engram)
  install(TARGETS engram EXPORT EngramTargets)
  install(EXPORT EngramTargets NAMESPACE engram:: DESTINATION ${engram_package})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/engram DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/EngramConfig.cmake.in
    ${PROJECT_BINARY_DIR}/EngramConfig.cmake INSTALL_DESTINATION ${engram_package})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/EngramConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/EngramConfig.cmake
    ${PROJECT_BINARY_DIR}/EngramConfigVersion.cmake DESTINATION ${engram_package})
  # Relative to where engram.pc lies, so that the installed tree can be moved.
  set(engram_pc_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  file(RELATIVE_PATH ENGRAM_PC_PREFIX /prefix/${engram_pc_folder} /prefix)
  string(REGEX REPLACE "/$" "" ENGRAM_PC_PREFIX "${ENGRAM_PC_PREFIX}")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/engram.pc.in ${PROJECT_BINARY_DIR}/engram.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/engram.pc DESTINATION ${engram_pc_folder})
endif()
