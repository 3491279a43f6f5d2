#include "storage/store_description.h"

#include <chrono>
#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "rocksdb/env.h"
#include "storage/base/status.h"
#include "storage/block_file_writer.h"
#include "storage/store_directory.h"

namespace engram::storage {
namespace {

absl::StatusOr<StoreMeta> CreateStore(const FilesOptions& options, Database& database) {
  ENGRAM_RETURN_IF_ERROR(CheckCreation(options));
  const StoreMeta meta{.format_version = kFormatVersion,
                       .dimension = options.dimension,
                       .metric = options.metric == 0 ? std::uint8_t{1} : options.metric,
                       .rows_per_block = options.rows_per_block != 0
                                             ? options.rows_per_block
                                             : DefaultRowsPerBlock(options.dimension)};
  rocksdb::WriteBatch batch;
  const rocksdb::Slice key(kMetaKey.data(), kMetaKey.size());
  const rocksdb::Slice commit_key(kCommitKey.data(), kCommitKey.size());
  ENGRAM_RETURN_IF_ERROR(FromRocks(
      batch.Put(database.family(Family::kDefault), key, EncodeStoreMeta(meta)), "creating"));
  ENGRAM_RETURN_IF_ERROR(FromRocks(batch.Put(database.family(Family::kCatalog), commit_key,
                                             EncodeCommitRecord({.batch = 1, .synced = 0})),
                                   "creating"));
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(batch.Put(database.family(Family::kCatalog),
                          rocksdb::Slice(kFormsKey.data(), kFormsKey.size()), rocksdb::Slice()),
                "creating"));
  rocksdb::WriteOptions sync;
  sync.sync = true;
  ENGRAM_RETURN_IF_ERROR(FromRocks(database.db().Write(sync, &batch), "creating the store"));
  return meta;
}

// A creation is one batch: ended early, it leaves nothing in any family.
absl::Status CheckNothingIsThere(const Database& database) {
  for (int i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    const std::unique_ptr<rocksdb::Iterator> it(
        database.db().NewIterator(rocksdb::ReadOptions(), database.family(family)));
    it->SeekToFirst();
    if (it->Valid()) {
      return absl::DataLossError(absl::StrFormat(
          "%s has lost the description of the store and its commit record; %s has entries",
          database.path(), FamilyName(family)));
    }
    ENGRAM_RETURN_IF_ERROR(FromRocks(it->status(), "looking for a store"));
  }
  return absl::OkStatus();
}

// Only what says that it is a store may be removed as one, or what began as one.
absl::Status CheckOurs(const std::string& path) {
  const auto database = Database::Open({.read_only = true}, path);
  absl::Status status = database.status();
  if (status.ok()) status = LoadOrCreateMeta({.read_only = true}, **database).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::StatusOr<StoreMeta> LoadOrCreateMeta(const FilesOptions& options, Database& database) {
  const auto value = database.Get(Family::kDefault, kMetaKey);
  if (absl::IsNotFound(value.status())) {
    const auto commit = database.Get(Family::kCatalog, kCommitKey);
    if (commit.ok()) {
      return absl::DataLossError(
          absl::StrFormat("%s has lost the description of the store", database.path()));
    }
    if (!absl::IsNotFound(commit.status())) return commit.status();
    ENGRAM_RETURN_IF_ERROR(CheckNothingIsThere(database));
    if (options.create_if_missing && !options.read_only) return CreateStore(options, database);
    return UnfinishedCreation(database.path());
  }
  ENGRAM_RETURN_IF_ERROR(value.status());
  if (options.error_if_exists) return StoreExists(database.path());
  ENGRAM_ASSIGN_OR_RETURN(const StoreMeta meta, DecodeStoreMeta(*value));
  ENGRAM_RETURN_IF_ERROR(CheckFormatVersion(database.path(), meta.format_version));
  if (options.dimension != 0 && options.dimension != meta.dimension) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s holds embeddings of dimension %d, and dimension %d was asked for",
                        database.path(), meta.dimension, options.dimension));
  }
  if (options.metric != 0 && options.metric != meta.metric) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has metric %d, and metric %d was asked for (1 cosine, 2 dot, 3 l2)",
                        database.path(), meta.metric, options.metric));
  }
  if (options.rows_per_block != 0 && options.rows_per_block != meta.rows_per_block) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has rows_per_block %d, and rows_per_block %d was asked for",
                        database.path(), meta.rows_per_block, options.rows_per_block));
  }
  return meta;
}

absl::Status CheckCreation(const FilesOptions& options) {
  if (options.dimension == 0) {
    return absl::InvalidArgumentError("dimension is 0; a new store needs one of 1 to 65536");
  }
  const std::uint64_t bytes = BlockEmbeddingBytes(options.dimension, options.rows_per_block);
  if (bytes <= kMaxBlockBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "rows_per_block is %d and dimension is %d; they make blocks of %d bytes, and up to %d is "
      "allowed",
      options.rows_per_block, options.dimension, bytes, kMaxBlockBytes));
}

absl::Status StoreFiles::Destroy(const std::string& path) {
  const auto there = ClassifyDirectory(path);
  if (there.ok() && *there != DirectoryState::kDatabase) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(
      const auto lock,
      DirectoryLock::Acquire(path, std::chrono::milliseconds(0), [&] { return CheckOurs(path); }));
  RemoveLeftovers(path);
  const rocksdb::Options options(OpenOptions(/*read_only=*/false), rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (int i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, nullptr));
  }
  const rocksdb::Status status = rocksdb::DestroyDB(path, options, families);
  if (DirectoryLock::IsTaken(status)) return DirectoryLock::OpenElsewhere(path);
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "destroying " + path));
  lock->RemoveFile();
  // Stays when it holds anything else.
  rocksdb::Env::Default()->DeleteDir(path).PermitUncheckedError();
  return absl::OkStatus();
}

}  // namespace engram::storage
