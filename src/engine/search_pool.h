// The threads that help searches: started when a search first wants them, kept for
// the next one, and shared by all searches of a store.
//
// Whoever asks for help works too and waits for nobody who has not come, so that busy
// helpers, or none to be had, make a search slower and never stop it.
#ifndef ENGRAM_ENGINE_SEARCH_POOL_H_
#define ENGRAM_ENGINE_SEARCH_POOL_H_

#include <cstddef>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace engram::engine {

// Thread-safe.
class SearchPool {
 public:
  // At most `most_helpers` threads; none before Run() asks for one.
  explicit SearchPool(std::size_t most_helpers) : most_helpers_(most_helpers) {}
  ~SearchPool() { Stop(); }
  SearchPool(const SearchPool&) = delete;
  SearchPool& operator=(const SearchPool&) = delete;

  // Calls `work` in this thread, and in up to `helpers` others that are free before any call
  // has returned. Returns when all have. A call returns only when there is no more to do.
  void Run(std::size_t helpers, absl::FunctionRef<void()> work);

  // Ends the threads, each when its work returns; from then on there is no help.
  void Stop();

  // Returns: how many threads were started.
  std::size_t started();

 private:
  struct Job {
    absl::FunctionRef<void()> work;
    std::size_t wanted = 0;  // helpers that may still come
    std::size_t inside = 0;
  };

  void Help();
  Job* FirstOpenJob() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CallHelpers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::size_t most_helpers_;
  absl::Mutex mutex_;
  absl::CondVar wake_;
  std::vector<Job*> jobs_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_SEARCH_POOL_H_
