// Another process at work on a store of lanes.h:
//   load_child write PATH UID         makes the store if there is none, says "open", then writes,
//                                     seals and compacts until stdin ends
//   load_child read PATH UID MS SEED  refreshes and checks for so many milliseconds, and says how
//                                     many refreshes and checks, and certified searches among them
// as user UID, which only root can choose. Ends with 4 where it is not permitted to open the store.
#include <grp.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/load/lanes.h"

namespace {

using namespace engram;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kLeastRefreshes = 3;

bool Good(const absl::Status& status, const char* doing) {
  if (status.ok()) return true;
  std::fprintf(stderr, "%s: %s\n", doing, status.ToString().c_str());
  return false;
}

// Returns: how a process ends that could not open the store.
int Refused(const absl::Status& status) {
  Good(status, "opening");
  return absl::IsPermissionDenied(status) ? 4 : 1;
}

void WriteLane(Store& store, std::uint64_t lane, std::uint64_t n, const std::atomic<bool>& stop,
               std::atomic<bool>& failed) {
  for (; !stop && !failed; ++n) {
    WriteOptions options;
    options.durability = static_cast<Durability>(n % 3);
    if (!Good(store.Write(options, load::BatchOf(lane, n)), "writing")) failed = true;
  }
}

void Maintain(Store& store, const std::atomic<bool>& stop, std::atomic<bool>& failed) {
  for (int round = 0; !stop && !failed; ++round) {
    std::this_thread::sleep_for(milliseconds(20));
    if (!Good(round % 5 == 4 ? store.Compact({}) : store.Seal(), "sealing")) failed = true;
  }
}

int Write(const char* path) {
  if (!std::filesystem::exists(path) && !Good(load::Create(path), "creating")) return 1;
  auto store = Store::Open(load::Options(), path);
  if (!store.ok()) return Refused(store.status());
  const auto counters = load::ReadCounters(**store, {});
  if (!Good(counters.status(), "reading")) return 1;
  std::puts("open");
  std::fflush(stdout);
  std::atomic<bool> stop{false}, failed{false};
  std::vector<std::thread> threads;
  for (std::uint64_t lane = 0; lane < load::kLanes; ++lane) {
    threads.emplace_back([&, lane] { WriteLane(**store, lane, (*counters)[lane], stop, failed); });
  }
  threads.emplace_back([&] { Maintain(**store, stop, failed); });
  while (std::getchar() != EOF) continue;
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return Good((*store)->Close(), "closing") && !failed ? 0 : 1;
}

int Read(const char* path, milliseconds time, std::uint64_t seed) {
  auto store = Store::Open(load::ReadOnly(), path);
  if (!store.ok()) return Refused(store.status());
  std::mt19937_64 random(seed);
  load::Seen seen;
  std::uint64_t refreshes = 0;
  // On a busy machine the time may be over before there was anything to see.
  const auto end = steady_clock::now() + time;
  for (; steady_clock::now() < end || refreshes < kLeastRefreshes; ++refreshes) {
    if (!Good((*store)->Refresh(), "refreshing")) return 1;
    for (int i = 0; i < 5; ++i) {
      if (!Good(load::CheckSomething(**store, random, &seen), "checking")) return 1;
    }
  }
  if (!Good(load::CheckAll(**store, random, &seen), "checking all")) return 1;
  std::printf("%llu %llu %llu\n", static_cast<unsigned long long>(refreshes),
              static_cast<unsigned long long>(seen.checks),
              static_cast<unsigned long long>(seen.certified));
  return Good((*store)->Close(), "closing") ? 0 : 1;
}

// Gives up root for good.
bool Become(uid_t user) {
  if (user == ::geteuid()) return true;
  return ::setgroups(0, nullptr) == 0 && ::setgid(user) == 0 && ::setuid(user) == 0 &&
         ::geteuid() == user;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 3 ? argv[1] : "";
  if (mode == "write" || mode == "read") {
    if (!Become(static_cast<uid_t>(std::strtoul(argv[3], nullptr, 10)))) return 3;
    if (mode == "write" && argc == 4) return Write(argv[2]);
    if (mode == "read" && argc == 6) {
      return Read(argv[2], milliseconds(std::strtoull(argv[4], nullptr, 10)),
                  std::strtoull(argv[5], nullptr, 10));
    }
  }
  std::fprintf(stderr, "usage: load_child write PATH UID | read PATH UID MS SEED\n");
  return 2;
}
