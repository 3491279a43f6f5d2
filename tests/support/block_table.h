// The table file of a store's blocks, damaged where it lies.
#ifndef ENGRAM_TESTS_SUPPORT_BLOCK_TABLE_H_
#define ENGRAM_TESTS_SUPPORT_BLOCK_TABLE_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/hash.h"
#include "storage/format/block_format.h"
#include "tests/support/store_surgery.h"

namespace engram::testing {

inline constexpr std::size_t kHashedHeaderBytes = 56;
inline constexpr std::size_t kHashAt = 40;  // of the payload

// Where a column lies in its table file.
struct Place {
  storage::ColumnKind column = storage::ColumnKind::kEmbedding;
  std::uint64_t first_row = 0;
  std::size_t at = 0;       // of the header
  std::size_t payload = 0;  // where it begins
  std::size_t bytes = 0;    // of the payload
  std::size_t end() const { return std::max(payload + bytes, at + storage::kTableBlockBytes); }
};

// All of a table file.
inline std::vector<Place> PlacesIn(const std::string& bytes) {
  std::vector<Place> places;
  for (std::size_t at = bytes.find("EBLK");
       at != std::string::npos && at + storage::kBlockHeaderBytes <= bytes.size();
       at = bytes.find("EBLK", at + 1)) {
    Place place{.at = at};
    std::uint16_t head = 0;
    std::memcpy(&head, &bytes[at + 6], sizeof head);
    std::memcpy(&place.first_row, &bytes[at + 8], sizeof place.first_row);
    std::memcpy(&place.column, &bytes[at + 24], sizeof place.column);
    std::memcpy(&place.bytes, &bytes[at + 32], sizeof place.bytes);
    place.payload = at + head;
    places.push_back(place);
  }
  return places;
}

// The table file of rows, changed where it lies: what has it mapped sees it at once.
class Table {
 public:
  explicit Table(const std::string& store) {
    for (const std::string& path : testing::TableFiles(store)) {
      whole_ = testing::ReadFile(path);
      places_ = PlacesIn(whole_);
      const bool has_rows = std::any_of(places_.begin(), places_.end(), [](const Place& place) {
        return place.column == storage::ColumnKind::kEmbedding;
      });
      if (!has_rows) continue;
      path_ = path;
      file_ = ::open(path.c_str(), O_WRONLY);
      break;
    }
    EXPECT_GE(file_, 0);
    now_ = whole_;
  }
  ~Table() { ::close(file_); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<Place>& places() const { return places_; }
  // Those of codes alone.
  std::vector<Place> OfCodes() const {
    std::vector<Place> found;
    for (const Place& place : places_) {
      if (place.column >= storage::ColumnKind::kCode) found.push_back(place);
    }
    return found;
  }
  const Place& Find(storage::ColumnKind column, std::size_t nth = 0) const {
    for (const Place& place : places_) {
      if (place.column == column && nth-- == 0) return place;
    }
    ADD_FAILURE() << "no column " << storage::ColumnName(column);
    return places_[0];
  }

  void Set(std::size_t at, std::string_view bytes) {
    now_.replace(at, bytes.size(), bytes);
    EXPECT_EQ(::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at)),
              static_cast<ssize_t>(bytes.size()));
  }
  void Flip(std::size_t at, int bit) {
    const char flipped = static_cast<char>(now_[at] ^ (1 << bit));
    Set(at, {&flipped, 1});
  }
  // Give what stands there checksums that match.
  void RepairPayload(const Place& place) {
    SetHash(place.at + kHashAt, {&now_[place.payload], place.bytes});
  }
  void RepairHeader(const Place& place) {
    SetHash(place.at + kHashedHeaderBytes, {&now_[place.at], kHashedHeaderBytes});
  }
  void Restore(std::size_t begin, std::size_t end) {
    Set(begin, std::string_view(whole_).substr(begin, end - begin));
  }
  // As the file was at first, whatever its length is now.
  void WriteWhole() const {
    EXPECT_EQ(::pwrite(file_, whole_.data(), whole_.size(), 0),
              static_cast<ssize_t>(whole_.size()));
  }
  void Restore(const Place& place) { Restore(place.at, place.end()); }

 private:
  void SetHash(std::size_t at, std::string_view bytes) {
    const std::uint64_t hash = storage::Hash64(bytes);
    Set(at, {reinterpret_cast<const char*>(&hash), sizeof hash});
  }

  std::string path_;
  int file_ = -1;
  std::string whole_, now_;
  std::vector<Place> places_;
};

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_SUPPORT_BLOCK_TABLE_H_
