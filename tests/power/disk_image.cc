#include "tests/power/disk_image.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

namespace engram::power {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPage = 4096;

void Overwrite(std::string& bytes, std::uint64_t offset, std::string_view with) {
  if (bytes.size() < offset + with.size()) bytes.resize(offset + with.size());
  bytes.replace(offset, with.size(), with);
}

// Returns: true one time in `odds`.
bool OneIn(std::uint32_t odds, std::mt19937& random) { return random() % odds == 0; }

}  // namespace

void DiskImage::Apply(const Change& change) {
  switch (change.kind) {
    case Change::Kind::kName:
      if (change.is_directory) files_[change.file].is_directory = true;
      files_[change.file].is_manifest |= change.name.starts_with("MANIFEST-");
      names_.push_back(&change);
      break;
    case Change::Kind::kUnname:
    case Change::Kind::kRename: names_.push_back(&change); break;
    case Change::Kind::kWrite: last_write_ = &change; [[fallthrough]];
    case Change::Kind::kResize:
      files_.at(change.file).unsynced.push_back(&change);
      ++unsynced_writes_;
      break;
    case Change::Kind::kSync:
      if (!ignores_syncs_) Sync(change.file);
      break;
    case Change::Kind::kSyncFailed: {
      File& file = files_.at(change.file);
      unsynced_writes_ -= file.unsynced.size();
      file.unsynced.clear();
    }
  }
  if (++applied_ > initial_) return;
  SyncNames(-1);
  for (auto& [number, file] : files_) Sync(number);
}

void DiskImage::Sync(int number) {
  File& file = files_.at(number);
  for (const Change* change : file.unsynced) ApplyBytes(*change, file.synced);
  unsynced_writes_ -= file.unsynced.size();
  file.unsynced.clear();
  if (by_ == Names::kByJournal) {
    SyncNames(-1);
  } else if (file.is_directory) {
    SyncNames(number);
  }
}

void DiskImage::SyncNames(int directory) {
  Directories directories;
  for (auto& [number, file] : files_) {
    if (file.is_directory) directories[number] = std::move(file.names);
  }
  std::vector<const Change*> rest;
  for (const Change* change : names_) {
    const bool moves = change->kind == Change::Kind::kRename;
    if (directory < 0 || change->directory == directory ||
        (moves && change->to_directory == directory)) {
      ApplyName(*change, directories);
    } else {
      rest.push_back(change);
    }
  }
  names_ = std::move(rest);
  for (auto& [number, names] : directories) files_[number].names = std::move(names);
}

void DiskImage::ApplyName(const Change& change, Directories& directories) {
  std::map<std::string, int>& names = directories[change.directory];
  switch (change.kind) {
    case Change::Kind::kName: names[change.name] = change.file; break;
    case Change::Kind::kUnname: names.erase(change.name); break;
    default:
      names.erase(change.name);
      directories[change.to_directory][change.to_name] = change.file;
  }
}

void DiskImage::ApplyBytes(const Change& change, std::string& bytes) {
  if (change.kind == Change::Kind::kResize) {
    bytes.resize(change.offset);
  } else {
    Overwrite(bytes, change.offset, change.bytes);
  }
}

void DiskImage::ApplySome(const std::vector<const Change*>& changes, std::mt19937& random,
                          std::string& bytes) {
  const auto odds = static_cast<std::uint32_t>(2 + random() % 6);
  const bool mostly_kept = OneIn(2, random);
  std::map<std::uint64_t, bool> ended;  // pages that were not written back any more
  for (const Change* change : changes) {
    if (change->kind == Change::Kind::kResize) {
      if (OneIn(2, random)) bytes.resize(change->offset);
      continue;
    }
    const std::uint64_t end = change->offset + change->bytes.size();
    for (std::uint64_t at = change->offset; at < end;) {
      const std::uint64_t next = std::min(end, (at / kPage + 1) * kPage);
      bool& page_ended = ended[at / kPage];
      page_ended = page_ended || OneIn(odds, random) == mostly_kept;
      if (!page_ended) {
        Overwrite(bytes, at,
                  std::string_view(change->bytes).substr(at - change->offset, next - at));
      }
      at = next;
    }
  }
}

void DiskImage::ApplyBegin(const std::vector<const Change*>& changes, std::mt19937& random,
                           std::string& bytes) {
  const std::size_t kept = random() % (changes.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) ApplyBytes(*changes[i], bytes);
  if (kept < changes.size() && changes[kept]->kind == Change::Kind::kWrite) {
    ApplyTorn(*changes[kept], /*may_garble=*/false, random, bytes);
  }
}

void DiskImage::ApplyTorn(const Change& change, bool may_garble, std::mt19937& random,
                          std::string& bytes) {
  if (change.bytes.empty()) return;
  const std::size_t kept = random() % change.bytes.size();
  Overwrite(bytes, change.offset, std::string_view(change.bytes).substr(0, kept));
  std::string rest(change.bytes.size() - kept, '\0');
  switch (may_garble ? random() % 3 : 0) {
    case 0: return;
    case 1: break;
    default:
      for (char& byte : rest) byte = static_cast<char>(random());
  }
  Overwrite(bytes, change.offset + kept, rest);
}

std::string DiskImage::BytesOf(const File& file, Loss loss, std::mt19937& random) const {
  std::string bytes = file.synced;
  if (loss == Loss::kAll) return bytes;
  const bool may_garble = !file.is_manifest || garbles_manifests_;
  if (loss == Loss::kSome) {
    (may_garble ? ApplySome : ApplyBegin)(file.unsynced, random, bytes);
    return bytes;
  }
  for (const Change* change : file.unsynced) {
    if (loss == Loss::kTorn && change == last_write_) {
      ApplyTorn(*change, may_garble, random, bytes);
    } else {
      ApplyBytes(*change, bytes);
    }
  }
  return bytes;
}

void DiskImage::Build(const std::string& path, Loss loss, std::mt19937& random) const {
  Directories directories;
  for (const auto& [number, file] : files_) {
    if (file.is_directory) directories[number] = file.names;
  }
  for (const Change* change : names_) {
    if (loss == Loss::kAll || (loss == Loss::kSome && OneIn(2, random))) continue;
    ApplyName(*change, directories);
  }
  Write(path, 0, directories, loss, random);
}

void DiskImage::Write(const std::string& path, int directory, const Directories& directories,
                      Loss loss, std::mt19937& random) const {
  fs::create_directory(path);
  const auto names = directories.find(directory);
  if (names == directories.end()) return;
  for (const auto& [name, number] : names->second) {
    const File& file = files_.at(number);
    const std::string whole = path + "/" + name;
    if (file.is_directory) {
      Write(whole, number, directories, loss, random);
    } else {
      std::ofstream(whole, std::ios::binary) << BytesOf(file, loss, random);
    }
  }
}

bool SameFiles(const std::string& a, const std::string& b, std::string* difference) {
  const auto read = [](const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
      const fs::path other = to / fs::relative(entry, from);
      *difference = entry.path();
      if (!fs::exists(other) || entry.is_directory() != fs::is_directory(other)) return false;
      if (!entry.is_directory() && read(entry) != read(other)) return false;
    }
  }
  return true;
}

}  // namespace engram::power
