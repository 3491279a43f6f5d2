#include "engine/search_pool.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "storage/base/float_mode.h"

namespace engram::engine {

void SearchPool::Run(std::size_t helpers, absl::FunctionRef<void()> work) {
  if (helpers == 0 || most_helpers_ == 0) return work();
  Job job{.work = work, .wanted = helpers};
  {
    absl::MutexLock lock(&mutex_);
    jobs_.push_back(&job);
    CallHelpers();
  }
  work();
  absl::MutexLock lock(&mutex_);
  std::erase(jobs_, &job);
  const auto alone = [&job] { return job.inside == 0; };
  mutex_.Await(absl::Condition(&alone));
}

void SearchPool::CallHelpers() {
  if (stopping_) return;
  std::size_t wanted = 0;
  for (const Job* job : jobs_) wanted += job->wanted;
  const std::size_t waiting = std::min(wanted, idle_);
  for (std::size_t i = 0; i < waiting; ++i) wake_.Signal();
  const std::size_t more = std::min(wanted - waiting, most_helpers_ - threads_.size());
  for (std::size_t i = 0; i < more; ++i) {
    // No thread to be had is no reason to fail.
    try {
      threads_.emplace_back([this] { Help(); });
    } catch (const std::system_error&) {
      break;
    }
  }
}

void SearchPool::Help() {
  const storage::DefaultFloatMode float_mode;
  mutex_.Lock();
  while (!stopping_) {
    Job* job = FirstOpenJob();
    if (job == nullptr) {
      ++idle_;
      wake_.Wait(&mutex_);
      --idle_;
      continue;
    }
    --job->wanted;
    ++job->inside;
    mutex_.Unlock();
    job->work();
    mutex_.Lock();
    job->wanted = 0;  // where one has nothing left to do, nobody has
    --job->inside;
  }
  mutex_.Unlock();
}

SearchPool::Job* SearchPool::FirstOpenJob() {
  const auto open =
      std::find_if(jobs_.begin(), jobs_.end(), [](const Job* job) { return job->wanted > 0; });
  return open == jobs_.end() ? nullptr : *open;
}

void SearchPool::Stop() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.SignalAll();
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

std::size_t SearchPool::started() {
  absl::MutexLock lock(&mutex_);
  return threads_.size();
}

}  // namespace engram::engine
