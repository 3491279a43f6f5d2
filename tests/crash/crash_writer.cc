// The programs that the crash test kills, and one that it does not:
//   crash_writer write PATH ORDER AT FIRST...  commits from these numbers on, a thread for each
//                                              writer, beside seals, compactions, backups and
//                                              reads, until it is killed; see broken_steps.h
//   crash_writer read PATH                     opens to read and refreshes until its stdin ends,
//                                              and says then how many states it saw
// Programs of their own, because a fork of a process with threads is no place to start RocksDB in.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/crash/broken_steps.h"
#include "tests/crash/crash_plan.h"

using namespace engram;
using namespace engram::crash;

namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "crash_writer: %s\n", what.c_str());
  std::_Exit(3);
}

void Need(const absl::Status& status, const char* doing) {
  if (!status.ok()) Fail(doing + (": " + status.ToString()));
}

// Returns: the commits after which the parts of the store were what they are at `options`.
std::array<std::uint64_t, kWriters> Look(const Store& store, const ReadOptions& options) {
  const auto all = power::ReadAll(store, options);
  Need(all.status(), "reading all");
  const auto parts = Parts(*all);
  std::array<std::uint64_t, kWriters> last{};
  for (int writer = 0; writer < kWriters; ++writer) {
    const auto w = static_cast<std::size_t>(writer);
    const auto commit = LastCommit(writer, parts[w]);
    if (!commit.has_value()) Fail("a mix of states: " + parts[w].Summary());
    last[w] = *commit;
  }
  return last;
}

void Commits(Store& store, int writer, std::uint64_t number, Model model) {
  for (;; ++number) {
    const Commit commit = CommitOf(writer, number, model);
    if (commit.kind == Commit::Kind::kNothing) continue;
    Need(Carry(store, commit), "committing");
    model = After(commit, std::move(model));
    const Ack ack{static_cast<std::uint64_t>(writer), number};
    if (::write(STDOUT_FILENO, &ack, sizeof ack) != sizeof ack) Fail("nobody reads");
  }
}

// A backup takes the place of the last one, which goes under another name, for a kill may come
// while it does.
absl::Status BackUp(Store& store, const std::string& path) {
  fs::remove_all(path + ".tmp");
  fs::remove_all(path + ".old");
  if (fs::exists(path)) fs::rename(path, path + ".old");
  return store.Backup({}, path);
}

void Upkeep(Store& store, const std::string& path) {
  for (int round = 0;; ++round) {
    switch (round % 6) {
      case 1: Need(store.Seal(), "sealing"); break;
      case 2: Need(store.Flush(), "flushing"); break;
      case 4: Need(BackUp(store, path + ".backup"), "backing up"); break;
      case 5: Need(store.Compact({}), "compacting"); break;
      default: {
        ReadOptions options;
        options.snapshot = store.GetSnapshot();
        Look(store, options);
      }
    }
  }
}

int Write(const std::string& path, const std::vector<std::uint64_t>& first) {
  auto store = Store::Open(Options(), path);
  Need(store.status(), "opening");
  const auto all = power::ReadAll(**store);
  Need(all.status(), "reading what is there");
  const auto parts = Parts(*all);
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    const auto w = static_cast<std::size_t>(writer);
    threads.emplace_back(Commits, std::ref(**store), writer, first[w], parts[w]);
  }
  Upkeep(**store, path);
  return 4;
}

bool StdinEnds() {
  pollfd in{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return ::poll(&in, 1, 0) != 0;
}

// A store of which the files go too fast, or one that is not there yet: what a creation begins
// with may be anybody's.
bool MayPass(const absl::Status& status, bool has_been_there) {
  const bool is_none = absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
  return absl::IsUnavailable(status) || (is_none && !has_been_there);
}

int Read(const std::string& path) {
  std::unique_ptr<Store> store;
  std::array<std::uint64_t, kWriters> seen{};
  std::uint64_t states = 0;
  for (int round = 0; !StdinEnds(); ++round) {
    absl::Status status;
    if (store == nullptr || round % 16 == 0) {
      store.reset();
      auto opened = Store::Open(Options(/*read_only=*/true), path);
      status = opened.status();
      if (opened.ok()) store = *std::move(opened);
    } else {
      status = store->Refresh();
    }
    if (MayPass(status, states > 0)) {
      ::usleep(5000);
      continue;
    }
    Need(status, "following the writer");
    const auto last = Look(*store, {});
    for (std::size_t w = 0; w < last.size(); ++w) {
      if (last[w] < seen[w]) Fail("a reader saw a commit that is gone");
    }
    seen = last;
    ++states;
  }
  return ::write(STDOUT_FILENO, &states, sizeof states) == sizeof states ? 0 : 5;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "read") return Read(words[1]);
  if (words.size() != 4 + kWriters || words[0] != "write") return 2;
  SetDeath({.order = OrderNamed(words[2]), .at = std::strtoull(words[3].c_str(), nullptr, 10)});
  std::vector<std::uint64_t> first;
  for (std::size_t i = 4; i < words.size(); ++i) {
    first.push_back(std::strtoull(words[i].c_str(), nullptr, 10));
  }
  return Write(words[1], first);
}
