// The part of Verify that reads the families of small values from end to end: heads,
// keys, their forms and records, each against the others. What no answer happened to
// touch would else be damaged for long before anybody knew.
#ifndef ENGRAM_STORAGE_VERIFY_IDS_H_
#define ENGRAM_STORAGE_VERIFY_IDS_H_

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "storage/view.h"

namespace engram::storage {

// What the head of the memory that has a node says of it.
struct NodeHead {
  bool named = false;  // the node leads back to the id
  bool live = false;
  std::uint64_t id = 0;
  std::uint64_t row = kNoRow;
};
using NodeHeads = absl::flat_hash_map<std::uint32_t, NodeHead>;

// Used once, by one thread.
class IdsVerifier {
 public:
  using Findings = absl::FunctionRef<void(std::string)>;
  // `view` and what `find` refers to outlive it.
  IdsVerifier(const View& view, Findings find) : view_(view), find_(find) {}

  // Walks everything. Returns: what heads say of each node.
  NodeHeads Run();

 private:
  // Calls `visit(key, value)` for all of `family` that begins with `prefix`, which is not null.
  using Visit = absl::FunctionRef<void(std::string_view key, std::string_view value)>;
  void Walk(Family family, std::string_view prefix, Visit visit);

  void VisitHead(std::string_view key, std::string_view value);
  void VisitNode(std::string_view key, std::string_view value);
  void VisitForm(std::string_view key);
  void VisitKey(std::string_view key, std::string_view value);
  void VisitIdKey(std::string_view key);
  void VisitRecord(std::string_view key, std::string_view value);
  void CheckNodes();
  void CheckIds();
  void CheckRest();
  bool Has(Family family, const std::string& key);
  bool Lives(std::uint64_t id);

  const View& view_;
  const Findings find_;
  NodeHeads nodes_;
  bool has_forms_ = false;  // every key should have one
  // Keys with a form that this version of Unicode does not give them.
  std::set<std::string, std::less<>> other_forms_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_VERIFY_IDS_H_
