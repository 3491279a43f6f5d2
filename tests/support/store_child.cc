// Another process for tests: one that holds a store, and one whose files may not grow.
//   store_child hold PATH            opens for writing, says "held", and closes at the end of stdin
//   store_child fill PATH BYTES      writes until no file may grow beyond BYTES, and prints how
//                                    many memories were acknowledged and the refusal's code
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engram/engram.h"

namespace {

std::unique_ptr<engram::Store> Open(const char* path) {
  engram::StoreOptions options;
  options.dimension = 4;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, path);
  if (store.ok()) return *std::move(store);
  std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
  std::exit(1);
}

int Hold(const char* path) {
  const auto store = Open(path);
  std::puts("held");
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;
  return store->Close().ok() ? 0 : 1;
}

int Fill(const char* path, rlim_t bytes) {
  auto store = Open(path);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
  const float vector[] = {1, 2, 3, 4};
  const std::string payload(10000, 'p');
  for (engram::MemoryId id = 0; id < 100000; ++id) {
    const absl::Status status = store->Put({}, id, vector, payload);
    if (status.ok()) continue;
    // Reading goes on, and what was refused is not there.
    const bool reads = (id == 0 || store->Get({}, id - 1).ok()) && !store->Get({}, id).ok();
    const bool stays_refused = !store->Put({}, id, vector, payload).ok();
    std::printf("%llu %d %d\n", static_cast<unsigned long long>(id),
                static_cast<int>(status.code()), reads && stays_refused ? 1 : 0);
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    // An orderly end is not to be had: the limit holds for Close as well.
    std::fflush(nullptr);
    std::_Exit(0);
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "hold" && argc == 3) return Hold(argv[2]);
  if (mode == "fill" && argc == 4) return Fill(argv[2], std::strtoull(argv[3], nullptr, 10));
  std::fprintf(stderr, "usage: store_child hold PATH | fill PATH BYTES\n");
  return 2;
}
