#include "storage/salvaged_columns.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/alignment.h"

namespace engram::storage {
namespace {

constexpr std::string_view kMagicBytes = "EBLK";
constexpr std::size_t kMostBeforeValue = 64;  // of a table's data block

}  // namespace

const BlockColumn* SalvagedBlock::Find(ColumnKind kind) const {
  const auto found = columns.find(kind);
  return found == columns.end() ? nullptr : &found->second;
}

SalvagedColumns::~SalvagedColumns() {
  for (const auto& [address, size] : mapped_) ::munmap(address, size);
}

absl::Status SalvagedColumns::AddFile(const std::string& path) {
  const auto failed = [&] {
    return absl::InternalError(absl::StrFormat("reading %s: %s", path, std::strerror(errno)));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return failed();
  struct stat status {};
  void* address = MAP_FAILED;
  std::size_t size = 0;
  if (::fstat(file, &status) == 0) {
    size = static_cast<std::size_t>(status.st_size);
    if (size > 0) address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  }
  const absl::Status mapped = size > 0 && address == MAP_FAILED ? failed() : absl::OkStatus();
  ::close(file);
  if (!mapped.ok() || size == 0) return mapped;
  mapped_.emplace_back(address, size);
  files_.push_back(std::filesystem::path(path).filename());
  Scan({static_cast<const char*>(address), size}, static_cast<std::uint32_t>(files_.size() - 1));
  return absl::OkStatus();
}

void SalvagedColumns::Scan(std::string_view bytes, std::uint32_t file) {
  for (std::size_t at = 0; at + kTableBlockBytes <= bytes.size(); at += kTableBlockBytes) {
    const std::size_t magic = bytes.substr(at, kMostBeforeValue).find(kMagicBytes);
    if (magic == std::string_view::npos) continue;
    const auto column = DecodeBlockColumn(bytes.substr(at + magic));
    if (!column.ok()) continue;
    const BlockHeader& header = column->header;
    if (CheckAlignment(column->payload, alignof(std::uint64_t)).ok() &&
        CheckBlockPayload(*column).ok()) {
      SalvagedBlock& block = blocks_[Key(file, header.generation, header.first_row)];
      block.generation = header.generation;
      block.first = header.first_row;
      block.file = file;
      block.columns.emplace(header.column, *column);
    } else {
      damaged_.push_back({header, files_[file]});
    }
  }
}

const SalvagedBlock* SalvagedColumns::Find(std::uint32_t file, std::uint32_t generation,
                                           std::uint64_t first) const {
  const auto found = blocks_.find(Key(file, generation, first));
  return found == blocks_.end() ? nullptr : &found->second;
}

}  // namespace engram::storage
