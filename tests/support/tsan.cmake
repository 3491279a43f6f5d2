# Links tsan_mutex.cc into every program of a build with ThreadSanitizer.
target_sources(engram PRIVATE ${CMAKE_CURRENT_LIST_DIR}/tsan_mutex.cc)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/tsan_mutex.cc PROPERTIES
  COMPILE_DEFINITIONS "ENGRAM_TSAN_SUPPRESSIONS=\"${PROJECT_SOURCE_DIR}/tests/tsan.supp\"")
foreach(symbol
    _ZN4absl7debian35Mutex4LockEv
    _ZN4absl7debian35Mutex6UnlockEv
    _ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE
    _ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE
    _ZN4absl7debian37CondVar4WaitEPNS0_5MutexE)
  target_link_options(engram PUBLIC LINKER:--wrap=${symbol} LINKER:-u,__wrap_${symbol})
endforeach()
